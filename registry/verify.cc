// SPDX-License-Identifier: Apache-2.0
// Checking what is stored: every byte of a version, and the registry's own records.
#include <algorithm>
#include <iterator>
#include <optional>
#include <set>

#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/base/path_status.h"
#include "registry/internal/reading.h"
#include "registry/internal/registry_impl.h"
#include "registry/oci/oci.h"
#include "registry/trust/attested.h"
#include "registry/views.h"

namespace organ::registry {
namespace {

using format::Finding;
using Item = VerifyReport::Item;

Item part(const char* name) { return {.subject = name, .digest = {}, .findings = {}, .trust = {}}; }

Item verify_log(const Log& log, const Work& work) {
  Item item = part("organ/log");
  collect(item.findings, item.subject, [&] {
    const Work reading = log_phase(log, 0, work);
    LogFacts facts;
    add_facts(log, {}, facts, [&](const LogPlace&, const LogEntry&) { reading.advance(1); });
  });
  return item;
}

}  // namespace

void collect(std::vector<Finding>& findings, const std::string& subject,
             const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    const ErrorCode code = error.code();
    const bool of_one_object = dynamic_cast<const UnreadableBlob*>(&error) != nullptr;
    if (code != ErrorCode::corrupt && code != ErrorCode::not_found &&
        code != ErrorCode::untrusted && code != ErrorCode::unsupported_version && !of_one_object) {
      throw;
    }
    Finding finding = Finding::of(subject, error);
    if (code == ErrorCode::not_found) finding.code = ErrorCode::corrupt;
    findings.push_back(std::move(finding));
  }
}

void forget_reads(const std::filesystem::path& registry, const std::filesystem::path& memory,
                  const Work& work, std::vector<std::string>& notes) {
  try {
    ReadMemory::forget_all(memory, real_path(registry), seconds_now(), work);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::cancelled) throw;
    notes.push_back("what was read before could not be forgotten: " + error.message());
  }
}

Item verify_catalog(const RegistryPaths& paths, const Log& log, const BlobStore& blobs,
                    const Work& work, std::vector<std::string>& notes) {
  Item item = part("organ/catalog.db");
  collect(item.findings, item.subject, [&] {
    const auto catalog = is_taken(paths.catalog()) ? Catalog::open(paths.catalog()) : std::nullopt;
    Catalog fresh = Catalog::in_memory();
    if (catalog) replay(log, blobs, fresh, work);
    if (!catalog) {
      notes.push_back("organ/catalog.db: is not there; the next publish makes it");
    } else if (catalog->position().entries() < fresh.position().entries()) {
      require_prefix(paths, log, catalog->position());
      notes.push_back("organ/catalog.db: lags behind the log; the next publish completes it");
    } else if (fresh.has_damage()) {
      notes.push_back("organ/catalog.db: not compared, what it is made from is damaged");
    } else if (catalog->has_damage() || fresh.dump() != catalog->dump()) {
      item.findings.push_back({ErrorCode::corrupt, item.subject,
                               "its rows are not what log and blobs say; organ registry rebuild "
                               "makes it anew"});
    }
  });
  return item;
}

Item verify_index(const RegistryPaths& paths, const Log& log) {
  Item item = part("index.json");
  collect(item.findings, item.subject, [&] {
    const auto catalog = is_taken(paths.catalog()) ? Catalog::open(paths.catalog()) : std::nullopt;
    if (!catalog || catalog->position().entries() < log.checkpoint().size) return;
    const std::vector<IndexEntry> entries = catalog->index_entries();
    const std::string expected = index_text(entries);
    const std::string listed = read_file(paths.index(), expected.size(), Symlinks::refuse);
    if (is_index_beginning(listed, expected)) return;
    const std::string moved = moved_tag(listed, entries);
    item.findings.push_back({ErrorCode::corrupt, item.subject,
                             (moved.empty() ? "it does not list what the catalog holds" : moved) +
                                 "; organ registry index writes it anew"});
  });
  return item;
}

namespace {

// Objects nothing refers to are what an interrupted publish leaves; they harm nobody.
// Where something could not be read nobody knows what it refers to.
void note_strays(const BlobStore& blobs, const std::vector<BlobRef>& seen, VerifyReport& report) {
  std::set<Digest> known;
  for (const BlobRef& blob : seen) known.insert(blob.digest);
  std::vector<std::string> strangers;
  std::size_t unreferenced = 0;
  for (const Digest& digest : blobs.list(strangers)) unreferenced += known.contains(digest) ? 0 : 1;
  const bool all_read =
      std::ranges::all_of(report.items, [](const Item& item) { return item.findings.empty(); });
  if (unreferenced > 0) {
    report.notes.push_back(fmt::format("{} that no version refers to{}",
                                       counted(unreferenced, "blob"),
                                       all_read ? "" : ", as far as manifests can be read"));
  }
  for (const std::string& name : strangers) {
    report.notes.push_back("blobs/sha256/" + escape_text(name) + ": not an object's name");
  }
}

// Modes are lost on media without them; that alone damages nothing, but anybody may write now.
void note_modes(const BlobStore& blobs, const std::vector<BlobRef>& seen, VerifyReport& report) {
  std::set<Digest> writable;
  for (const BlobRef& blob : seen) {
    if (blobs.is_writable(blob.digest)) writable.insert(blob.digest);
  }
  if (!writable.empty()) {
    report.warnings.push_back(fmt::format("{} writable (a copy lost mode 0444); digests decide",
                                          counted(writable.size(), "blob")));
  }
}

std::string sentence_of(const std::optional<std::string>& read_since) {
  std::string sentence = "every byte is what organ.json says";
  if (read_since) {
    sentence += fmt::format(
        "; some were read at {} or later, and not written since, as the file system says",
        *read_since);
  }
  return sentence;
}

}  // namespace

namespace {

// A medium that does not give back what it holds has to be read again.
void forgetting_io(const std::filesystem::path& registry, const std::filesystem::path& memory,
                   const Work& work, const std::function<void()>& read) {
  try {
    read();
  } catch (const Error& error) {
    if (error.code() != ErrorCode::io) throw;
    std::vector<std::string> unsaid;  // the error is
    forget_reads(registry, memory, work, unsaid);
    throw;
  }
}

}  // namespace

TrustVerdict Registry::Impl::evaluate(const VersionInfo& version, const format::OrganSource& organ,
                                      const TrustOverride& override) const {
  const Snapshot snapshot(*this);
  prove(version);
  const SignatureAnchors anchors = anchors_of(version.name, version, std::nullopt);
  TrustVerdict verdict =
      evaluate_policy(policy(), version.name, organ, override, Naming::known, anchors);
  verdict.attestations =
      judge_attestations(policy(), organ, {version.digest}, override, Naming::known, anchors);
  const std::string subject = version.name + ":" + version.version;
  verdict.established.push_back(fmt::format("published at {} as entry {} of this registry's log",
                                            version.published, version.log_index));
  judge_state(version, verdict);
  verdict.not_established.push_back(
      "whether a signing key was withdrawn elsewhere: only this registry's log was asked");
  if (options_.known_registries.empty()) {
    verdict.not_established.push_back(
        "whether an older state is shown: what was seen of this registry is not remembered");
  }
  if (const auto takedown = facts().taken_down(version.name, version.version)) {
    verdict.refusals.push_back({ErrorCode::untrusted, subject, describe(*takedown)});
  }
  if (const auto reason = facts().revoked(version.name, version.version)) {
    verdict.refusals.push_back({ErrorCode::untrusted, subject, "revoked: " + *reason});
  }
  if (const auto reason = facts().yanked(version.name, version.version)) {
    verdict.warnings.push_back({ErrorCode::untrusted, subject, "yanked: " + *reason});
  }
  const auto say_left_out = [&](Attached kind, const char* what) {
    const std::size_t left_out =
        catalog.attached(version.log_index, kind).size() - attached_to(version, kind).size();
    if (left_out == 0) return;
    verdict.not_established.push_back(
        fmt::format("{} of its {}: they are not witnessed yet, and left out", left_out, what));
  };
  say_left_out(Attached::signature, "signatures");
  say_left_out(Attached::attestation, "attestations");
  // Others may satisfy the policy without them.
  load_bundles(version, Attached::signature, verdict.warnings);
  load_bundles(version, Attached::attestation, verdict.warnings);
  return verdict;
}

Item Registry::Impl::verify_version(const VersionInfo& version, const TrustOverride& override,
                                    const Work& work, Reading& reading) const {
  std::vector<BlobRef>& seen = reading.seen;
  const std::string subject = version.name + ":" + version.version;
  const BlobRef manifest{version.digest, version.manifest_size};
  Item item{.subject = subject, .digest = version.digest, .findings = {}, .trust = {}};
  seen.push_back(manifest);
  seen.push_back(empty_config().ref);
  bool expected = false;  // its weights
  collect(item.findings, subject, [&] {
    expected = !facts().taken_down(version.name, version.version);
    const std::vector<BlobRef> attached = catalog.attached(version.log_index);
    for (const BlobRef& signature : attached) {
      seen.push_back(signature);
      collect(item.findings, subject,
              [&] { seen.push_back(load_signature(blobs, signature, manifest, subject).bundle); });
    }
    if (!attached.empty()) {  // all of them have this config
      const BlobRef empty = empty_config().ref;
      collect(item.findings, subject, [&] { blobs.read(empty.digest, empty.size); });
    }
    const StoredVersion stored = load_version(blobs, manifest, subject);
    collect(item.findings, subject, [&] { blobs.read(stored.config.digest, stored.config.size); });
    seen.push_back(stored.config);
    seen.push_back(stored.content.organ_json);
    for (const format::FileEntry& file : stored.content.organ.files) {
      if (expected || !format::holds_weights(file.role)) seen.push_back({file.digest, file.size});
    }
    const auto organ = open_version(version);
    if (!expected) {
      work.advance(version.bytes);
    } else {
      work.advance(stored.content.organ_json.size);
      reading.bytes += stored.content.organ_json.size;
      UnreadOrgan unread(*organ, reading);
      format::FiniteCheck finite;
      std::vector<Finding> contents = format::verify_contents(unread, {}, work, finite);
      reading.bytes += finite.read;
      unread.keep(contents.empty() && finite.found.empty());
      std::ranges::move(contents, std::back_inserter(item.findings));
      item.not_finite = std::move(finite.found);
      item.read_since = unread.read_since();
    }
    item.trust = evaluate(version, *organ, override);
    if (item.findings.empty() && expected) {
      item.trust.established.insert(item.trust.established.begin(), sentence_of(item.read_since));
    }
  });
  // Taken down while it was read: that is no damage.
  if (expected && !item.findings.empty() && facts().taken_down(version.name, version.version)) {
    return verify_version(version, override, work.uncounted(), reading);
  }
  // In a registry a missing object is damage, not an absent argument.
  for (Finding& finding : item.findings) {
    if (finding.code == ErrorCode::not_found) finding.code = ErrorCode::corrupt;
  }
  return item;
}

TrustVerdict Registry::evaluate(const ResolvedVersion& version, const format::OrganSource& organ,
                                const TrustOverride& override) const {
  return impl_->evaluate(version, organ, override);
}

VerifyReport Registry::verify(const ResolvedVersion& version, const TrustOverride& override,
                              const Work& work) const {
  VerifyReport report;
  Reading reading(impl_->blobs);
  forgetting_io(folder(), impl_->read_memory(), work, [&] {
    report.items.push_back(
        impl_->verify_version(version, override, work.phase("verifying", version.bytes), reading));
  });
  report.versions = 1;
  report.bytes = reading.bytes;
  if (!report.items.front().findings.empty()) {
    forget_reads(folder(), impl_->read_memory(), work, report.notes);
  }
  note_modes(impl_->blobs, reading.seen, report);
  return report;
}

VerifyReport Registry::verify_all(const TrustOverride& override, const Work& work,
                                  std::optional<std::uint64_t> reread_after) const {
  VerifyReport report;
  Reading reading(impl_->blobs, impl_->read_memory(), real_path(folder()), seconds_now(),
                  reread_after);
  const std::vector<VersionInfo> versions = impl_->catalog.list({});
  std::uint64_t bytes = 0;
  for (const VersionInfo& version : versions) bytes += version.bytes;
  const Work verifying = work.phase("verifying", bytes);
  bool gave_all = true;  // the medium, what it was asked for
  for (const VersionInfo& version : versions) {
    forgetting_io(folder(), impl_->read_memory(), work, [&] {
      report.items.push_back(impl_->verify_version(version, override, verifying, reading));
    });
    const std::vector<Finding>& findings = report.items.back().findings;
    gave_all =
        gave_all && std::ranges::find(findings, ErrorCode::io, &Finding::code) == findings.end();
    ++report.versions;
  }
  if (report.versions == 0) {
    throw Error(ErrorCode::not_found,
                quote(folder().string()) + ": nothing to verify: no version is published",
                "organ publish adds one");
  }
  report.bytes = reading.bytes;
  report.bytes_before = reading.bytes_before;
  if (!gave_all) {
    forget_reads(folder(), impl_->read_memory(), work, report.notes);
  } else if (const std::string why = reading.remember(work); !why.empty()) {
    report.notes.push_back("what was read could not be remembered: " + why);
  }
  const FileLock lock(impl_->paths.write_lock(), FileLock::Kind::shared, kLockSeconds, work);
  report.items.push_back(verify_log(impl_->log, work));
  report.items.push_back(
      verify_catalog(impl_->paths, impl_->log, impl_->blobs, work, report.notes));
  report.items.push_back(verify_index(impl_->paths, impl_->log));
  note_strays(impl_->blobs, reading.seen, report);
  note_modes(impl_->blobs, reading.seen, report);
  return report;
}

}  // namespace organ::registry
