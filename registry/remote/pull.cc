// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <map>
#include <optional>

#include "format/base/fail.h"
#include "format/base/file_system.h"
#include "format/base/new_folder.h"
#include "registry/blobs/blob_store.h"
#include "registry/blobs/side_by_side.h"
#include "registry/registry_paths.h"
#include "registry/remote/download.h"
#include "registry/remote/exchange.h"
#include "registry/remote/remote_version.h"

namespace organ::registry {
namespace {

namespace fs = std::filesystem;
using format::FileEntry;

// A version of another registry, its files in organ/partial or in the registry's own blobs.
class PulledOrgan final : public format::OrganSource {
 public:
  PulledOrgan(const RemoteVersion& version, BlobStore blobs, std::string description)
      : version_(version), blobs_(std::move(blobs)), description_(std::move(description)) {}

  // `passed` as download() returned it.
  void lies_at(const FileEntry& file, fs::path path, std::optional<format::PassedFile> passed) {
    paths_[file.digest] = std::move(path);
    if (passed) passed_[file.path] = *std::move(passed);
  }

  const format::Manifest& manifest() const override { return version_.organ; }
  const std::string& manifest_text() const override { return version_.organ_text; }
  UniqueFd open(const FileEntry& file) const override {
    const auto found = paths_.find(file.digest);
    if (found == paths_.end()) return blobs_.open(file.digest, file.size);
    return open_regular(found->second, Symlinks::refuse);
  }
  bool may_be_taken(const FileEntry& file) const override { return paths_.contains(file.digest); }
  const format::PassedFile* passed(const FileEntry& file) const override {
    const auto found = passed_.find(file.path);
    return found == passed_.end() ? nullptr : &found->second;
  }
  std::vector<std::string> signature_bundles() const override {
    return version_.attached.signatures();
  }
  std::vector<std::string> attestation_bundles() const override {
    return version_.attached.attestations();
  }
  std::vector<std::string> extra_files() const override { return {}; }
  std::string describe() const override { return description_; }

 private:
  const RemoteVersion& version_;
  BlobStore blobs_;
  std::map<Digest, fs::path> paths_;
  std::map<std::string, format::PassedFile> passed_;  // by FileEntry::path
  std::string description_;
};

std::string name_of(const RemoteVersion& version) {
  return version.organ.name + ":" + version.organ.version;
}

void check_expected(const RemoteVersion& version, const RemoteReference& from,
                    const ExactVersion& expected) {
  if (!expected) return;
  const auto& [name, wanted] = *expected;
  if (name == version.organ.name && wanted.to_string() == version.organ.version) return;
  fail(ErrorCode::untrusted, "{}: holds {}, not {}", quote(from.to_string()),
       quote(name_of(version)), quote(name + ":" + wanted.to_string()));
}

// Files that are not in the registry, or damaged there, each digest once.
std::vector<const FileEntry*> missing_files(const format::Manifest& organ, const BlobStore& blobs,
                                            const Work& work) {
  std::vector<const FileEntry*> missing;
  for (const FileEntry& file : organ.files) {
    const bool listed = std::ranges::any_of(
        missing, [&](const FileEntry* one) { return one->digest == file.digest; });
    if (!listed && !blobs.is_whole(file.digest, file.size, work)) missing.push_back(&file);
  }
  return missing;
}

std::uint64_t total(const std::vector<const FileEntry*>& files) {
  std::uint64_t bytes = 0;
  for (const FileEntry* file : files) bytes = checked_add(bytes, file->size, "size of the version");
  return bytes;
}

// Throws io unless there is room for what an earlier pull has not left in `partial`.
void require_room(const fs::path& registry, const std::vector<const FileEntry*>& files,
                  PartialFolder& partial) {
  try {
    std::uint64_t bytes = total(files);
    for (const FileEntry* file : files) {
      bytes -= std::min(file->size, partial.held(file->digest));
    }
    require_space(registry, bytes);
  } catch (const Error&) {
    partial.remove_empty();
    throw;
  }
}

// Into `organ`, by way of `partial`.
void download_all(const std::vector<const FileEntry*>& files, PartialFolder& partial,
                  const Repository& repository, DownloadCount& count, PulledOrgan& organ) {
  std::vector<std::optional<format::PassedFile>> passed(files.size());
  const Session& session = repository.session();
  try {
    side_by_side(
        files.size(), session.options().transfers,
        [&](std::size_t i) {
          passed[i] = download(repository, *files[i], partial.path(files[i]->digest), count);
        },
        [&] { session.stop(); });
  } catch (const Error&) {
    partial.remove_empty();
    throw;
  }
  for (std::size_t i = 0; i < files.size(); ++i) {
    organ.lies_at(*files[i], partial.path(files[i]->digest), std::move(passed[i]));
  }
}

PublishResult publish(Registry& registry, const format::OrganSource& organ, const Digest& identity,
                      PartialFolder& partial, const Work& work) {
  const format::Manifest& manifest = organ.manifest();
  try {
    return registry.publish(organ, manifest.name, format::Version::parse(manifest.version),
                            {.identity = identity}, work);
  } catch (const Error& error) {
    // Every piece is what organ.json says, and it contradicts itself, or nobody may have them: they
    // are of no use.
    if (error.code() == ErrorCode::corrupt || error.code() == ErrorCode::untrusted) {
      partial.remove();
    }
    throw;
  }
}

std::string identity(const RemoteReference& from, const Digest& digest) {
  RemoteReference exact = from;
  exact.tag.clear();
  exact.digest = digest;
  return exact.to_string();
}

}  // namespace

PullResult pull(Registry& registry, const RemoteReference& from, const ExactVersion& expected,
                const RemoteOptions& options, const Work& work) {
  from.require_version();
  const BlobStore blobs(registry.folder());
  PullResult result;
  DownloadCount count;
  PartialFolder::remove_old(registry.folder());
  Session session(from, "pull", options, work.uncounted());
  const Repository repository(session);
  const RemoteVersion version = read_version(repository);
  check_expected(version, from, expected);
  PulledOrgan organ(version, blobs, from.to_string());

  // Held from the first look at the objects to the commit: what is not fetched must stay, and
  // nothing of it is taken down.
  const FileLock store = share_store({registry.folder()}, work);
  // What would be refused at the end is refused before anything is fetched.
  registry.check_publishable(organ, version.manifest.digest);
  const auto missing = missing_files(version.organ, blobs, work.uncounted());
  PartialFolder partial(registry.folder(), version.manifest.digest, work);
  require_room(registry.folder(), missing, partial);
  session.count(work.phase("pulling", total(missing)));
  download_all(missing, partial, repository, count, organ);
  result.published = publish(registry, organ, version.manifest.digest, partial, work);
  check(result.published.digest == version.manifest.digest,
        "a pulled version changed its identity");
  partial.remove();
  result.reference = identity(from, version.manifest.digest);
  result.fetched_bytes = count.fetched;
  result.kept_bytes = count.kept;
  result.signatures = version.attached.signatures().size();
  result.attestations = version.attached.attestations().size();
  result.left_out = version.attached.left_out();
  return result;
}

ManifestResult pull_manifest(const RemoteReference& from, const fs::path& out,
                             const ExactVersion& expected, const RemoteOptions& options,
                             const Work& work) {
  from.require_version();
  NewFolder folder(out);
  const Session session(from, "pull", options, work.uncounted());
  const RemoteVersion version = read_version(Repository(session));
  check_expected(version, from, expected);
  write_file(folder.path() / format::kManifestFile, version.organ_text);
  if (!version.attached.signatures().empty()) {
    write_file(folder.path() / format::kSignatureFile, version.attached.signatures().front());
  }
  folder.commit();
  ManifestResult result{.reference = identity(from, version.manifest.digest),
                        .name = version.organ.name,
                        .version = version.organ.version,
                        .digest = version.manifest.digest};
  result.fetched_bytes = version.manifest.size + version.organ_text.size();
  for (const auto* bundles : {&version.attached.signatures(), &version.attached.attestations()}) {
    for (const std::string& bundle : *bundles) result.fetched_bytes += bundle.size();
  }
  result.signatures = version.attached.signatures().size();
  result.attestations = version.attached.attestations().size();
  result.left_out = version.attached.left_out();
  return result;
}

}  // namespace organ::registry
