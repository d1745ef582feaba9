// SPDX-License-Identifier: Apache-2.0
// A registry folder: where published organs live (schemas/registry.md). The log says
// what exists, blobs hold it; catalog.db and index.json are views of both.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "format/manifest/reference.h"
#include "format/organ/organ_source.h"
#include "format/signature/signing.h"
#include "registry/catalog/version_info.h"
#include "registry/log/log_entry.h"
#include "registry/log/root.h"
#include "registry/trust/policy.h"

#pragma GCC visibility push(default)

namespace organ::registry {

struct CreateOptions {
  // Rules of the first policy.json: this key may publish names that match this pattern.
  std::vector<std::pair<std::string, format::PublicKey>> trusted;
};

// Where a user keeps what was seen of registries (schemas/registry.md); empty: nothing is
// remembered, and a registry that was replaced or rolled back as a whole is taken for what it
// shows.
struct OpenOptions {
  std::filesystem::path known_registries = {};
  std::string log_key = {};  // the C2SP verifier key that it must have; empty: any
  bool forget_seen = false;  // drops what is remembered of it first
  // Seconds. A registry whose newest checkpoint is older, or does not say, is not read (untrusted,
  // "freeze"); the smallest limit counts of this one, the one the user is remembered to have set
  // and the registry's own. Who writes is only told.
  std::optional<std::uint64_t> max_age = {};
  // Where it is kept when this user last read the objects of registries; empty: nowhere.
  std::filesystem::path read_memory = {};
};

struct PublishOptions {
  const format::SecretKey* key = nullptr;  // signs the version while publishing
  bool require_finite = false;             // refuse an organ with NaN or infinity
  // The identity that the version must get, of today's form or an older one; else corrupt is
  // thrown.
  std::optional<Digest> identity = {};
};

// What publish() did. Sizes in bytes.
struct PublishResult {
  std::string name;
  std::string version;
  Digest digest;                     // of the OCI manifest
  std::uint64_t log_index = 0;       // of the publish entry
  bool already_published = false;    // the same content was there before
  std::uint64_t new_signatures = 0;  // added to such content
  std::uint64_t bytes = 0;           // of all blobs of the version
  std::uint64_t new_bytes = 0;       // of blobs that were not here before
  std::uint64_t mended = 0;          // blobs that were damaged here and were written anew
  bool is_signed = false;
  std::vector<format::Finding> not_finite = {};  // tensors with NaN or infinity
};

// What attest() did.
struct AttestResult {
  Digest manifest;                // of the manifest that attaches the bundle
  std::uint64_t log_index = 0;    // of its entry
  bool already_attached = false;  // it was there before, and the log got no entry
};

// One entry of the log and its place in it, counted from 0.
struct LogRecord {
  std::uint64_t index = 0;
  LogEntry entry;
};

// An entry that concerns a version, and the signatures that came with it.
struct VersionEvent {
  struct Signer {
    format::KeyId key;      // that the signature names
    bool verified = false;  // it is good, by that key, which the registry has
    // What it states, evaluation, compatibility or training; empty: it is over the files.
    std::string_view states = {};
    std::string certificate = {};  // for people: whose it is, by its own words; empty: a bare key
  };
  LogRecord record;
  std::vector<Signer> signers;
  std::vector<std::string> unreadable;  // why others cannot be read
};

// The outcome of checking one version or the whole registry.
struct VerifyReport {
  struct Item {
    std::string subject;  // name:version, or organ/log …
    Digest digest;        // of the OCI manifest; zero for parts of the registry itself
    std::vector<format::Finding> findings;         // damage
    TrustVerdict trust;                            // empty for parts of the registry itself
    std::vector<format::Finding> not_finite = {};  // tensors with NaN or infinity
    // Of what was taken for read, when the first was, as RFC 3339 in UTC; nothing: all was read.
    std::optional<std::string> read_since = {};
  };
  std::vector<Item> items;
  std::uint64_t versions = 0;         // how many were looked at
  std::uint64_t bytes = 0;            // read and compared
  std::uint64_t bytes_before = 0;     // taken for read (`reread_after`); of an object once
  std::vector<std::string> notes;     // blobs nothing refers to, a torn log tail, …
  std::vector<std::string> warnings;  // what is no damage yet: blobs that can be written
};

// What the catalog that rebuild() made holds.
struct RebuildReport {
  std::uint64_t entries = 0;   // of the log
  std::uint64_t versions = 0;  // published by them, withdrawn ones too
};

// Move-only. One object belongs to one thread; several objects and processes may use one folder
// at the same time. Every function throws corrupt for damage it meets (catalog damage names
// `organ registry rebuild`), io, and conflict when a lock cannot be had; with a Work, cancelled,
// and then the registry holds what it held before.
class Registry {
 public:
  // What changes the registry throws internal of one that was opened to read.
  enum class Mode { read, write };

  // Makes a new registry; `folder` must be absent or an empty folder, which stays what it is: mode,
  // owner, group, a mount point too. After a crash it is a registry, or this can be done again.
  // Throws already_exists, conflict (another process makes one there). Here as in every function
  // that takes the folder of a registry an empty path is an invalid_argument.
  static void create(const std::filesystem::path& folder, const CreateOptions& options = {});

  // Throws not_found when the folder is no registry (nothing is created), unsupported_version.
  // Opened to read, it writes nothing: what a crash left undone is made up in memory. Opened to
  // write, it is completed first. What the user has seen of it before is compared; throws also
  // untrusted, when it has another log key or its history is another one.
  static Registry open(const std::filesystem::path& folder, Mode mode,
                       const OpenOptions& options = {}, const Work& work = {});
  Registry(Registry&&) noexcept;
  Registry& operator=(Registry&&) noexcept;
  ~Registry();

  const std::filesystem::path& folder() const;
  std::string log_key() const;     // C2SP verifier key, that of root()
  std::uint64_t log_size() const;  // entries that the signed checkpoint covers
  // Of the RFC 6962 tree of the log's first entries, log_size() at most. Reads the log as a whole.
  Digest log_root(std::uint64_t entries) const;
  // Whether the log's key was `key` somewhere in its first `entries` entries. The key of now
  // follows it by the signatures that each root of the log carries.
  bool had_log_key(const std::string& key, std::uint64_t entries) const;
  // Seconds: the smallest age that somebody allows the newest checkpoint to have.
  std::optional<std::uint64_t> max_age() const;
  // The rules in force: what the log's signed entries add up to. Throws also untrusted, when
  // policy.json shows others.
  // The reference is good until the next call of any function of this object.
  const Policy& policy() const;
  // What people should know of what was found or done since the last call; sentences.
  std::vector<std::string> take_notices();

  // Verifies the contents (flat digests too) and the policy, then adds blobs, log entry, catalog
  // rows and index in this order; the log entry is the commit point. When name or version differ
  // from organ.json's, organ.json is written anew with them, which only an organ without a
  // signature (or options.key) allows. Same content again succeeds; other content under a taken
  // version throws already_exists. Throws corrupt or untrusted with the first finding.
  PublishResult publish(const format::OrganSource& organ, const std::string& name,
                        const format::Version& version, const PublishOptions& options = {},
                        const Work& work = {});

  // Attaches a bundle that states something of the version (format/signature/attestation.h), as a
  // referrer of its manifest and with an entry of the log. Throws corrupt and unsupported_version
  // for what is none, invalid_argument for one that is about something else. Whose word counts is
  // asked by who reads it.
  AttestResult attest(const ResolvedVersion& version, const std::string& bundle,
                      const Work& work = {});

  // Throws what publish() would throw for the organ's own name, version and signatures. Reads no
  // files of it.
  void check_publishable(const format::OrganSource& organ, const Digest& identity) const;

  // Throws not_found. Without a selector: the newest version that is neither a pre-release nor
  // withdrawn; with a range the newest in it that was not withdrawn; a pinned
  // version or digest resolves even when it was withdrawn. The answer is proved against the log,
  // whatever the catalog says; withdrawals and aliases come from there.
  ResolvedVersion resolve(const format::Reference& reference) const;

  // Its manifests are read and checked now, file contents by verify_contents. The source does not
  // depend on this object's lifetime.
  std::unique_ptr<format::OrganSource> open_organ(const ResolvedVersion& version) const;

  // evaluate_policy for a version of this registry; one that was revoked or taken down is refused.
  TrustVerdict evaluate(const ResolvedVersion& version, const format::OrganSource& organ,
                        const TrustOverride& override = {}) const;

  // What the catalog says of them; resolve() proves what is used.
  std::vector<VersionInfo> list(const VersionFilter& filter = {}) const;
  // Each once, ascending. For hints: what is no name is left out.
  std::vector<std::string> organ_names() const;
  // In log order, those that wait for their witnesses too; name empty: all entries. Reads the log
  // as a whole.
  std::vector<LogRecord> history(const std::string& name = {}) const;
  // Everything that happened to one version: its publication, signatures, withdrawals, what took
  // its place or what it took the place of, aliases that came to it and went away.
  std::vector<VersionEvent> history_of(const ResolvedVersion& version) const;

  // Each of these adds one signed entry to the log, or none when nothing changes, which withdraw()
  // and supersede() tell by false. Throws not_found, invalid_argument.
  // Points `alias` of `name` at a version, or takes it away (nullopt).
  void set_alias(const std::string& name, const std::string& alias,
                 const std::optional<format::Version>& version, const Work& work = {});
  // yank: no longer found without being named; revoke: refused everywhere. Without a reason it is
  // taken back. takedown: refused for good, and that its weights are gone is no damage; the first
  // reason stands. Taking them away is for take_down() of registry/care/takedown.h, which calls
  // this first.
  enum class Withdrawal { yank, revoke, takedown };
  bool withdraw(Withdrawal kind, const std::string& name, const format::Version& version,
                const std::optional<std::string>& reason, const Work& work = {});
  // A notice to whoever uses the version: another one, of whatever name, takes its place. nullopt
  // takes that back. Throws also invalid_argument when the other one was withdrawn, or is
  // superseded by this one itself.
  bool supersede(const std::string& name, const format::Version& version,
                 const std::optional<Supersession>& by, const Work& work = {});
  // Whose signatures count for names that match `pattern`; the first key makes the rule: enforce,
  // threshold 1. With `expires` (RFC 3339 UTC) signatures count that came into the log before; a
  // key that is trusted already gets this end. Distrusted, none of a key counts; retired, those
  // that came before entry `from`, without one before now. An empty pattern: in every rule. False
  // when nothing changed. They throw invalid_argument for what is no pattern, time, mode or number.
  bool trust(const std::string& pattern, const format::PublicKey& key,
             const std::string& expires = {}, const Work& work = {});
  bool distrust(const format::KeyId& key, const std::string& pattern = {}, const Work& work = {});
  bool retire(const format::KeyId& key, std::optional<std::uint64_t> from = {},
              const std::string& pattern = {}, const Work& work = {});
  void set_rule(const std::string& pattern, PolicyMode mode, std::uint64_t threshold,
                const Work& work = {});
  // Makes the rules in force those of `policy`, by as many entries as that takes. Limits of keys
  // stay what they are; throws invalid_argument when `policy` has others.
  void apply(const Policy& policy, const Work& work = {});
  // Writes policy.json anew from the log.
  void restore_policy(const Work& work = {});
  // Signs the newest checkpoint anew, with today's time: what it covers is still the newest state.
  void renew(const Work& work = {});

  // Who speaks for the log, and what is demanded of its checkpoints (registry/log/root.h).
  LogRoot root() const;
  // Makes the log's next key, in memory, and returns it: the next root may hand over to it. Throws
  // conflict when one waits already (keep_log_key) that is to stay.
  enum class Waiting { stays, is_discarded };
  std::string prepare_log_key(Waiting waiting = Waiting::stays);
  // Puts that key into the registry, for a root that is applied later. Throws as that does, io.
  void keep_log_key();
  // The note of a root, signed by those of the log's keys that may.
  std::string sign_root(const LogRoot& next);
  // Makes the root of a note the one in force, by an entry; returns its index. Throws untrusted
  // when the note does not follow root() or names a log key that is neither this registry's nor the
  // one that was prepared; whatever it throws, a key that waits still does, unless it
  // was to be discarded.
  std::uint64_t apply_root(const std::string& note, const Work& work = {});

  // When it finds damage nothing of OpenOptions::read_memory counts any more.
  VerifyReport verify(const ResolvedVersion& version, const TrustOverride& override = {},
                      const Work& work = {}) const;
  // Every version, each object once; the log against its checkpoint, the catalog and index.json
  // against the log. `reread_after`, in seconds: an object that was read whole within them, as
  // OpenOptions::read_memory says, and not written since, as the file system says, is taken for
  // read. Nothing: all are read.
  VerifyReport verify_all(const TrustOverride& override = {}, const Work& work = {},
                          std::optional<std::uint64_t> reread_after = std::nullopt) const;

  // The logical content of the catalog as ordered text: equal text, equal catalog.
  std::string dump() const;

  // Writes index.json anew, for tools that read OCI image layouts; publishing does not, it would
  // write all of it each time. Returns the number of versions in it.
  std::uint64_t write_index(const Work& work = {});

  // Throws catalog.db and index.json away and makes them anew from log and blobs. Works when the
  // catalog is damaged.
  static RebuildReport rebuild(const std::filesystem::path& folder, const OpenOptions& options = {},
                               const Work& work = {});

 private:
  struct [[gnu::visibility("hidden")]] Impl;
  explicit Registry(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace organ::registry

#pragma GCC visibility pop
