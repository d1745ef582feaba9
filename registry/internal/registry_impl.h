// SPDX-License-Identifier: Apache-2.0
// What the files of Registry share.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "format/base/file.h"
#include "registry/blobs/blob_store.h"
#include "registry/catalog/catalog.h"
#include "registry/log/facts.h"
#include "registry/log/log.h"
#include "registry/oci/stored_organ.h"
#include "registry/registry.h"
#include "registry/registry_paths.h"
#include "registry/trust/freshness.h"
#include "registry/trust/witnesses.h"

namespace organ::registry {

class Reading;

struct Registry::Impl {
  Impl(RegistryPaths paths, BlobStore blobs, Log log, Catalog catalog, bool writable);

  RegistryPaths paths;
  BlobStore blobs;
  Log log;
  Catalog catalog;
  bool writable = false;
  std::vector<std::string> notices = {};

  // What the log says up to now, and counts: where its root asks for witnesses, who reads has only
  // what enough of them have cosigned, but for withdrawals, which count at once. Each call reads
  // what is new in the log; the answer stays until the next.
  const LogFacts& facts() const;
  // The same of all entries, as who writes has it.
  const LogFacts& all_facts() const;
  // Which entries count.
  const Witnessed& witnessed() const;
  // While one lives the three above say what they said when it began: one judgment of many parts is
  // about one state, and asks for it once.
  class Snapshot {
   public:
    explicit Snapshot(const Impl& impl) : impl_(impl) {
      impl.witnessed();
      ++impl.snapshots_;
    }
    ~Snapshot() { --impl_.snapshots_; }
    Snapshot(const Snapshot&) = delete;
    Snapshot& operator=(const Snapshot&) = delete;

   private:
    const Impl& impl_;
  };
  // The rules in force. Throws untrusted when policy.json shows others.
  const Policy& policy() const;
  // The private key that the next root may hand over to, made by prepare_log_key().
  std::optional<NoteSigner> successor = {};
  bool discards_waiting = false;    // one that waits gives way to it
  void require_none_waits() const;  // throws conflict
  void keep_successor() const;      // throws conflict, io
  // Writes them into policy.json.
  void show_policy();
  // Throws invalid_argument where these entries, each of which may change a rule, would make
  // policy.json longer than kSmallFileLimit, and longer than it is.
  void require_policy_room(std::span<const LogEntry> entries) const;
  void add_key(const format::PublicKey& key) const;  // the file by which its id is resolved

  // Adds one entry, of this time: what it refers to is read back, the catalog must take it, then
  // the log (the commit point), the catalog. What goes wrong behind the commit point is a notice.
  // Requires the write lock and an up-to-date catalog. Throws cancelled before the commit point.
  std::uint64_t commit(LogEntry entry, const Work& work = {});
  void adopt(OpenOptions options, FactsUpTo seen);
  // Goes on from what the user has seen of it, and compares again after each commit.
  void adopt(const KnownLogs::Met& met);
  // What is seen of it now: only where nothing is against that.
  void remember(KnownLogs::Met& met);
  void meet_again(LogKind entered);
  // The write lock, everything up to date under it.
  FileLock lock_to_write(const Work& work);
  // Gives the blobs their names before anything refers to them. Throws untrusted when the organ was
  // taken down, as far as the log says by now. What is stated of the version gets an entry of its
  // own behind it.
  void commit_version(const format::Manifest& organ, LogEntry entry,
                      std::vector<BlobRef> attestations, std::vector<StagedBlob> blobs_to_link,
                      const Work& work, PublishResult& result);
  // The entry of what is stated of a version. Right behind the one that published it a failure is a
  // notice: published it is.
  void commit_statements(const LogEntry& entry, bool is_published);
  // Tells `work` of the version's bytes, when nothing is damaged; `reading` of what is read.
  VerifyReport::Item verify_version(const VersionInfo& version, const TrustOverride& override,
                                    const Work& work, Reading& reading) const;
  const std::filesystem::path& read_memory() const { return options_.read_memory; }
  // How old the state is, as the log's key says in its newest checkpoint, and who allows how much;
  // when that key's time is over. For who reads, the stricter of what the newest root says and of
  // what the newest one says that is witnessed.
  StateAge age() const;
  EndVerdict end_of_key() const;
  // What there is against the state as a whole, and the way out of each.
  struct Objection {
    std::string why;
    const char* way_out;
  };
  std::vector<Objection> objections() const;
  // What has to be said of a version because of the state as a whole.
  void judge_state(const VersionInfo& version, TrustVerdict& verdict) const;
  void judge_witnesses(const VersionInfo& version, TrustVerdict& verdict) const;
  // Who speaks for the log, witnessed or not. Throws corrupt when nobody does.
  LogRoot root() const;
  // Throws untrusted unless who reads may read a state of this age, signed with a log key that
  // counts still; tells who writes, and all of an end within a month. Whether nothing is against
  // it.
  bool require_state();
  // Now, but never before the newest entry; a notice when the clock lies minutes behind it.
  std::string time_of_next();
  // Throws untrusted when the log key's time is over: its owner may only hand over to another.
  void require_key_in_force() const;
  TrustVerdict evaluate(const VersionInfo& version, const format::OrganSource& organ,
                        const TrustOverride& override) const;
  // Publishing and rebuilding both read versions back from their blobs.
  std::unique_ptr<StoredOrgan> open_version(const VersionInfo& version) const;
  // What is attached to it and counts: for who reads, what enough witnesses have cosigned. Of a
  // version that itself is not witnessed all.
  std::vector<BlobRef> attached_to(const VersionInfo& version, Attached kind) const;
  // Those that are whole; what is wrong with the others in `damaged`, but for what the medium does
  // not give: whoever asks for all() hears of that.
  StoredBundles load_bundles(const VersionInfo& version, Attached kind,
                             std::vector<format::Finding>& damaged) const;
  VersionInfo find_reference(const format::Reference& reference) const;
  // Throws untrusted when it, or weights of it that no other version has, were taken down.
  void require_not_taken_down(const format::Manifest& organ) const;
  // When the signatures of a version came into the log; others come now, `now` seconds since 1970.
  // Nothing to ask when no key of the rule for this name is limited. Borrows this object.
  SignatureAnchors anchors_of(const std::string& name, const std::optional<VersionInfo>& version,
                              std::optional<std::uint64_t> now) const;
  // Throws corrupt unless the log has this publish entry. The row of the catalog is only its copy.
  void prove(const VersionInfo& version) const;

 private:
  OpenOptions options_;
  std::filesystem::path location_;
  std::optional<std::uint64_t> max_age_;  // the user's, remembered
  const LogFacts& counted_facts(std::uint64_t entries) const;
  void read_anchors() const;

  mutable unsigned snapshots_ = 0;
  mutable FactsUpTo all_;
  mutable LogFacts counted_;  // the first counted_end_.first of counted_end_.second entries
  mutable std::pair<std::uint64_t, std::uint64_t> counted_end_;
  mutable std::map<Digest, LogAnchor> anchors_;  // by manifests of signatures
  mutable LogPosition anchors_end_;
  mutable std::uint64_t anchors_time_ = 0;  // the largest one of the entries before anchors_end_
  mutable Witnessed witnessed_;
  mutable std::string witnessed_of_;  // the state that witnessed_ was made from
  mutable Policy policy_;
  mutable std::optional<LogRules> policy_rules_;
};

// Takes the log's entries after the catalog's position into the catalog, completes what a crash
// left undone (announced line, torn line), opens the catalog anew when another
// file took its place. Requires the write lock. What people should know of it is returned. Here and
// in the two below `facts`, which may be none, are read on: the checkpoint, and a line that is
// taken in, must be of the log's key as they say; else untrusted is thrown.
std::vector<std::string> bring_up_to_date(const RegistryPaths& paths, const Log& log,
                                          const BlobStore& blobs, Catalog& catalog,
                                          FactsUpTo& facts, const Work& work);
// Takes the rest of what the checkpoint covers into `catalog`; touches no other file. A phase of
// one item for each entry; cancelled, it changes nothing.
LogScan replay(const Log& log, const BlobStore& blobs, Catalog& catalog, const Work& work);
// Throws corrupt unless `seen` is a prefix of the log.
void require_prefix(const RegistryPaths& paths, const Log& log, const LogPosition& seen);
// The catalog as it is, made anew when it is absent or of an older organ; removes what processes
// that died left. Requires the write lock.
Catalog open_for_writing(const RegistryPaths& paths, const Log& log, const BlobStore& blobs,
                         FactsUpTo& facts, const Work& work);
// A new catalog.db from the whole log. Requires the write lock. Cancelled, the old one stays.
Catalog build_catalog(const RegistryPaths& paths, const Log& log, const BlobStore& blobs,
                      FactsUpTo& facts, const Work& work);
// Returns the number of versions in it.
std::uint64_t write_index(const RegistryPaths& paths, const Catalog& catalog);

// The phase of reading the log's entries after the first `seen`; none when there are no others.
Work log_phase(const Log& log, std::uint64_t seen, const Work& work);

std::string log_time();           // now, RFC 3339 UTC
std::uint64_t seconds_now();      // since 1970
LogEntry entry_of(LogKind kind);  // at this time

}  // namespace organ::registry
