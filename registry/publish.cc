// SPDX-License-Identifier: Apache-2.0
// Publishing: contents of blobs → their names → log entry (the commit point) → catalog.
#include <sys/resource.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <set>

#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/base/file_system.h"
#include "format/base/path_status.h"
#include "format/organ/finite_check.h"
#include "registry/blobs/side_by_side.h"
#include "registry/internal/prepared_organ.h"
#include "registry/internal/registry_impl.h"
#include "registry/oci/oci.h"
#include "registry/trust/attached.h"

namespace organ::registry {
namespace {

using format::FileEntry;
using format::Finding;
using format::Manifest;
using format::OrganSource;

[[noreturn]] void fail_finding(const OrganSource& organ, const Finding& finding, std::string hint) {
  throw Error(finding.code,
              fmt::format("{}: {}: {}", quote(organ.describe()), escape_text(finding.subject),
                          escape_text(finding.message, 2048)),
              std::move(hint));
}

// Returns the tensors that are not finite.
std::vector<Finding> check_contents(const OrganSource& organ, bool require_finite,
                                    const Work& work) {
  format::FiniteCheck finite{.required = require_finite, .found = {}};
  const std::vector<Finding> findings =
      format::verify_contents(organ, {.flat_digests = true}, work, finite);
  if (!findings.empty()) {
    fail_finding(organ, findings.front(),
                 fmt::format("{}; nothing was published", counted(findings.size(), "finding")));
  }
  format::require_finite(finite, organ.describe());
  return std::move(finite.found);
}

// A matching rule decides; without one the registry takes anything that is not damaged, and
// install asks again.
// `anew`: whoever publishes may sign; else what was published elsewhere comes here.
void check_policy(const Policy& policy, const PreparedOrgan& organ, const format::SecretKey* key,
                  const SignatureAnchors& anchors, bool anew) {
  TrustOverride override;
  const std::string& name = organ.manifest().name;
  if (!policy.has_rule(name) && key != nullptr) override.keys.push_back(key->public_key());
  const TrustVerdict verdict =
      evaluate_policy(policy, name, organ, override, Naming::known, anchors);
  for (const Finding& refusal : verdict.refusals) {
    if (refusal.code == ErrorCode::untrusted && !policy.has_rule(name)) continue;
    fail_finding(
        organ, refusal,
        fmt::format("{}; policy: {}",
                    anew ? "organ sign or --key signs it" : "whoever publishes it signs it",
                    verdict.policy.front()));
  }
}

// What readers refuse for its signatures is not published either.
void check_limits(const std::vector<std::string>& bundles) {
  for (const std::string& bundle : bundles) {
    require_readable("a signature", bundle.size(), kBundleLimit);
  }
  if (bundles.size() > kMostSignatures) {
    fail(ErrorCode::invalid_argument, "{} new signatures at once, at most {} are taken",
         bundles.size(), kMostSignatures);
  }
}

// What comes with it is what it is taken for, and about this version.
void check_bundles(const PreparedOrgan& organ, const Digest& identity) {
  const auto signatures = organ.new_bundles(), statements = organ.new_attestations();
  check_limits(signatures);
  check_limits(statements);
  for (const std::string& bundle : signatures) require_signature(bundle);
  const std::string name = organ.manifest().name + ":" + organ.manifest().version;
  for (const std::string& bundle : statements) require_about(bundle, name, identity);
}

// What files are that were found right while they were fetched, and not written since.
using KnownFiles = std::map<Digest, FileStamp>;

// Throws io unless there is room for the objects of a version that are not here already. The
// question whether a file can be taken gives it a name for a moment, which changes its stamp: the
// new one is returned.
KnownFiles require_room(const BlobStore& blobs, const PreparedOrgan& organ,
                        const VersionTexts& texts) {
  KnownFiles known;
  RoomForCopies room(blobs.folder());
  std::uint64_t bytes = 0;
  for (const TextBlob* text : {&texts.organ_json, &texts.config, &texts.manifest}) {
    if (!blobs.has(text->ref.digest, text->text.size())) bytes += text->text.size();
  }
  std::set<Digest> seen;
  for (const FileEntry& file : organ.manifest().files) {
    if (!seen.insert(file.digest).second || blobs.has(file.digest, file.size)) continue;
    const UniqueFd fd = organ.open(file);
    const format::PassedFile* passed = organ.passed(file);
    const bool as_passed = passed != nullptr && file_stamp(fd.get(), file.path) == passed->stamp;
    if (!organ.may_be_taken(file) || !blobs.would_adopt(fd.get(), file.digest)) {
      bytes += room.of(fd.get(), file.path);
    } else if (const FileStamp now = file_stamp(fd.get(), file.path);
               as_passed && now.has_contents_of(passed->stamp)) {
      known.emplace(file.digest, now);
    }
  }
  require_space(blobs.folder(), bytes);
  return known;
}

// Writes the blobs of one version, durable but without names: a publish that ends early leaves
// nothing. Each holds a file open; of an organ of very many files those beyond the first ones get
// their names early, and an interruption then leaves them as blobs that no version refers to.
class BlobWriter {
 public:
  BlobWriter(const BlobStore& blobs, KnownFiles known, const Work& work)
      : blobs_(blobs), known_(std::move(known)), work_(work) {}

  void put(const TextBlob& blob) { keep(blobs_.stage(blob.text, blob.ref.digest)); }
  // All its files, each digest once, several at one time: each waits for its hash and for the disk
  // on its own.
  void put(const OrganSource& organ) {
    std::vector<const FileEntry*> files;
    std::set<Digest> seen;
    for (const FileEntry& file : organ.manifest().files) {
      if (seen.insert(file.digest).second) {
        files.push_back(&file);
      } else {
        bytes_ += file.size;
        work_.advance(file.size);
      }
    }
    const auto is_large = [](const FileEntry* file) { return file->size > kChunkSize; };
    const auto large = static_cast<unsigned>(std::ranges::count_if(files, is_large));
    const unsigned most = std::min(work_.threads(), kMostAtOnce);
    const Work each = large > 1 ? work_.with_threads(1) : work_;
    side_by_side(
        files.size(), most, [&](std::size_t i) { keep(staged(organ, *files[i], each)); }, [] {});
  }

  std::vector<StagedBlob> finish(PublishResult& result) {
    result.bytes += bytes_;
    result.new_bytes += linked_bytes_;
    result.mended += mended_;
    return std::move(staged_);
  }

 private:
  static constexpr unsigned kMostAtOnce = 4;  // a disk that turns has one head

  StagedBlob staged(const OrganSource& organ, const FileEntry& file, const Work& work) const {
    UniqueFd fd = organ.open(file);
    if (!organ.may_be_taken(file)) {
      return blobs_.stage(fd.get(), file.size, file.digest, file.path, work);
    }
    const auto found = known_.find(file.digest);
    const auto known = found == known_.end() ? std::nullopt : std::optional(found->second);
    return blobs_.adopt(std::move(fd), file.size, file.digest, file.path, work, known);
  }

  // A quarter of what the process may have open; the rest is others'.
  static std::size_t most_open() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) fail_errno("files that may be open", "ask for");
    return static_cast<std::size_t>(std::clamp<rlim_t>(limit.rlim_cur / 4, 16, 512));
  }

  void keep(StagedBlob blob) {
    const std::lock_guard lock(mutex_);
    bytes_ += blob.size;
    mended_ += blob.mends ? 1 : 0;
    if (staged_.size() < most_open_) {
      staged_.push_back(std::move(blob));
    } else {
      const std::uint64_t size = blob.size;
      if (blobs_.link(std::move(blob))) linked_bytes_ += size;
    }
  }

  const BlobStore& blobs_;
  KnownFiles known_;
  Work work_;
  std::size_t most_open_ = most_open();
  std::mutex mutex_;  // guards what follows while files are put
  std::vector<StagedBlob> staged_;
  std::uint64_t bytes_ = 0, linked_bytes_ = 0, mended_ = 0;
};

BlobRef put_signature(BlobWriter& writer, const std::string& bundle, const BlobRef& manifest) {
  const TextBlob text(bundle);
  const TextBlob attached = signature_manifest(text.ref, manifest);
  writer.put(text);
  writer.put(empty_config());
  writer.put(attached);
  return attached.ref;
}

void check_not_taken(const std::optional<VersionInfo>& existing, const Digest& digest) {
  if (!existing || existing->digest == digest) return;
  throw Error(
      ErrorCode::already_exists,
      fmt::format("{}:{}: already published with other content ({}, this is {})", existing->name,
                  existing->version, existing->digest.to_string(), digest.to_string()),
      "a version never changes: publish under a new one");
}

void check_identity(const std::optional<Digest>& wanted, const Digest& got,
                    const OrganSource& organ) {
  if (!wanted || *wanted == got) return;
  fail(ErrorCode::corrupt, "{}: would be published as {}, expected {}", quote(organ.describe()),
       got.to_string(), wanted->to_string());
}

// ECDSA signatures differ every time: a second one by the same key says nothing new.
bool signed_by(const std::vector<std::string>& bundles, const format::PublicKey& key) {
  for (const std::string& bundle : bundles) {
    try {
      format::verify_bundle(bundle, {key}, "signature");
      return true;
    } catch (const Error& error) {
      if (error.code() != ErrorCode::untrusted && error.code() != ErrorCode::corrupt) throw;
    }
  }
  return false;
}

std::vector<BlobRef> put_all(BlobWriter& writer, const std::vector<std::string>& bundles,
                             const BlobRef& manifest) {
  std::vector<BlobRef> attached;
  attached.reserve(bundles.size());
  for (const std::string& bundle : bundles) {
    attached.push_back(put_signature(writer, bundle, manifest));
  }
  return attached;
}

// Everything the log entry will refer to, but for what is attached.
void write_blobs(BlobWriter& writer, const PreparedOrgan& organ, const VersionTexts& texts) {
  writer.put(organ);
  writer.put(texts.organ_json);
  writer.put(texts.config);
  writer.put(texts.manifest);
}

Work storing_phase(const Manifest& organ, const Work& work) {
  return work.phase("storing", format::verified_size(organ));
}

LogEntry make_entry(const PreparedOrgan& organ, const BlobRef& manifest,
                    std::vector<BlobRef> signatures) {
  LogEntry entry = entry_of(LogKind::publish);
  entry.name = organ.manifest().name;
  entry.version = organ.manifest().version;
  entry.manifest = manifest;
  entry.signatures = std::move(signatures);
  return entry;
}

}  // namespace

// Decides under the write lock between a publish entry, a signature entry and nothing at all.
void Registry::Impl::commit_version(const Manifest& organ, LogEntry entry,
                                    std::vector<BlobRef> attestations,
                                    std::vector<StagedBlob> blobs_to_link, const Work& work,
                                    PublishResult& result) {
  const FileLock lock = lock_to_write(work);
  require_not_taken_down(organ);  // the catalog knows by now which versions the weights are of
  const std::optional<VersionInfo> existing = catalog.find(entry.name, entry.version);
  check_not_taken(existing, entry.manifest->digest);
  work.require_wanted();  // from here on it is completed
  for (StagedBlob& blob : blobs_to_link) {
    const std::uint64_t size = blob.size;
    if (blobs.link(std::move(blob))) result.new_bytes += size;
  }
  blobs.sync();
  result.already_published = existing.has_value();
  if (existing) {
    result.log_index = existing->log_index;
    entry.kind = LogKind::signature;
    result.new_signatures = entry.signatures.size();
    if (!entry.signatures.empty()) commit(entry);
  } else {
    result.log_index = commit(entry);
  }
  if (!attestations.empty()) {
    entry.kind = LogKind::attestation;
    entry.signatures = std::move(attestations);
    commit_statements(entry, !existing);
  }
  if (!existing) return;
  // What could not be read when its row was written may be whole now.
  if (!catalog.has_damage()) return;
  try {
    catalog = build_catalog(paths, log, blobs, all_, work.committed());
  } catch (const Error& error) {
    notices.push_back("it is in the log; the catalog still shows damage: " + error.message());
  }
}

void Registry::Impl::require_not_taken_down(const Manifest& organ) const {
  const Takedowns& takedowns = facts().takedowns();
  if (takedowns.empty()) return;
  if (const auto own = takedowns.find({organ.name, organ.version}); own != takedowns.end()) {
    fail(ErrorCode::untrusted, "{}:{}: {}", organ.name, organ.version, describe(own->second));
  }
  for (const FileEntry& file : organ.files) {
    if (!format::holds_weights(file.role)) continue;
    const auto holders = catalog.versions_with(file.digest);
    const auto is_gone = [&](const auto& holder) { return takedowns.contains(holder); };
    if (holders.empty() || !std::ranges::all_of(holders, is_gone)) continue;
    const auto& [name, version] = holders.front();
    fail(ErrorCode::untrusted, "{}:{}: {} is of {}:{}, which {}", organ.name, organ.version,
         quote(file.path), name, version, describe(takedowns.at(holders.front())));
  }
}

void Registry::check_publishable(const OrganSource& organ, const Digest& identity) const {
  const Manifest& manifest = organ.manifest();
  impl_->require_not_taken_down(manifest);
  PreparedOrgan prepared(organ, manifest.name, manifest.version);
  const auto existing = impl_->catalog.find(manifest.name, manifest.version);
  check_not_taken(existing, identity);
  std::vector<Finding> damaged;  // publish() tells
  if (existing) {
    prepared.add_known(impl_->load_bundles(*existing, Attached::signature, damaged).all(),
                       impl_->load_bundles(*existing, Attached::attestation, damaged).all());
  }
  check_bundles(prepared, identity);
  check_policy(impl_->policy(), prepared, nullptr,
               impl_->anchors_of(manifest.name, existing, seconds_now()), false);
}

PublishResult Registry::publish(const OrganSource& organ, const std::string& name,
                                const format::Version& version, const PublishOptions& options,
                                const Work& work) {
  check(impl_->writable, "the registry was opened for reading");
  const Policy& policy = impl_->policy();
  format::check_name(name);
  // Held from the first look at the blobs to the commit: nobody may delete one in between.
  const FileLock store = share_store(impl_->paths, work);
  PreparedOrgan prepared(organ, name, version.to_string());
  if (!prepared.renamed_from().empty() && options.key == nullptr) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("{}: is signed as {}, not as {}:{}", quote(organ.describe()),
                            quote(prepared.renamed_from()), name, version.to_string()),
                "publish it under the signed name, or give --key to sign it anew");
  }
  impl_->require_not_taken_down(prepared.manifest());
  auto not_finite = check_contents(organ, options.require_finite, work);
  const auto existing = impl_->catalog.find(name, version.to_string());
  const VersionTexts texts =
      version_texts(prepared.manifest(), prepared.manifest_text(),
                    existing ? std::optional<Digest>(existing->digest) : options.identity);
  require_readable(texts);
  check_identity(options.identity, texts.manifest.ref.digest, organ);
  check_not_taken(existing, texts.manifest.ref.digest);
  std::vector<Finding> damaged;  // its bundle is among the new ones, or nobody has it
  if (existing) {
    prepared.add_known(impl_->load_bundles(*existing, Attached::signature, damaged).all(),
                       impl_->load_bundles(*existing, Attached::attestation, damaged).all());
  }
  if (options.key != nullptr &&
      !signed_by(prepared.signature_bundles(), options.key->public_key())) {
    prepared.sign(*options.key);
  }
  check_bundles(prepared, texts.manifest.ref.digest);
  check_policy(policy, prepared, options.key, impl_->anchors_of(name, existing, seconds_now()),
               !options.identity);

  PublishResult result{
      .name = name, .version = version.to_string(), .digest = texts.manifest.ref.digest};
  result.is_signed = !prepared.signature_bundles().empty();
  result.not_finite = std::move(not_finite);
  KnownFiles known = require_room(impl_->blobs, prepared, texts);
  BlobWriter writer(impl_->blobs, std::move(known), storing_phase(prepared.manifest(), work));
  write_blobs(writer, prepared, texts);
  const BlobRef& manifest = texts.manifest.ref;
  const auto signatures = put_all(writer, prepared.new_bundles(), manifest);
  const auto attestations = put_all(writer, prepared.new_attestations(), manifest);
  impl_->commit_version(prepared.manifest(), make_entry(prepared, manifest, signatures),
                        attestations, writer.finish(result), work, result);
  return result;
}

}  // namespace organ::registry
