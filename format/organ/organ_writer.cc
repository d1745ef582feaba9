// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>

#include <algorithm>

#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/organ/internal/finite_scan.h"
#include "format/organ/organ_writer.h"

namespace organ::format {
namespace fs = std::filesystem;
namespace {

UniqueFd create(const fs::path& path, unsigned permissions) {
  UniqueFd fd(
      ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, permissions));
  if (!fd) fail_errno(path.string(), "create");
  return fd;
}

std::vector<Digest> hash_tensors(const UniqueFd& fd, const FileEntry& file, const Work& work,
                                 std::vector<Finding>& not_finite) {
  std::vector<HashRange> ranges;
  for (const TensorInfo& tensor : file.tensors) {
    ranges.push_back({fd.get(), file.data_start + tensor.offset, tensor.size});
  }
  internal::FiniteScan scan;
  scan.add_tensors(file, fd.get());
  auto digests = hash_seen(ranges, file.path, work, scan.seen());
  scan.finish(not_finite);
  return digests;
}

FileEntry entry_of(std::string path, FileRole role, FileDigest digest) {
  FileEntry entry;
  entry.path = std::move(path);
  entry.role = role;
  entry.size = digest.size;
  entry.digest = digest.digest;
  entry.chunks = std::move(digest.chunks);
  return entry;
}

}  // namespace

OrganWriter::OrganWriter(const fs::path& folder, const Work& work) : folder_(folder), work_(work) {}

OrganWriter::~OrganWriter() = default;

void OrganWriter::no_wider_than(unsigned permissions) {
  permissions_ = permissions;
  folder_.no_wider_than(permissions | ((permissions & 0444) >> 2));  // who may read may enter
}

const FileEntry& OrganWriter::add_tensors(const std::string& path, FileRole role,
                                          std::vector<TensorSource> tensors,
                                          const std::map<std::string, std::string>& metadata) {
  if (!is_safe_file_name(path)) {
    fail(ErrorCode::invalid_argument, "{}: is not a safe file name", quote(path));
  }
  const fs::path full = folder_.path() / path;
  const UniqueFd fd = create(full, permissions_);
  FileEntry entry =
      entry_of(path, role, write_safetensors(fd.get(), std::move(tensors), metadata, path, work_));
  sync_fd(fd.get(), path);
  const SafetensorsFile written = SafetensorsFile::open(full);
  entry.data_start = written.header().data_start;
  entry.tensors = written.header().tensors;
  entry.tensor_digests = hash_tensors(fd, entry, work_, not_finite_);
  return files_.emplace_back(std::move(entry));
}

const FileEntry& OrganWriter::add_card(std::string_view markdown) {
  const UniqueFd fd = create(folder_.path() / "README.md", permissions_);
  write_all(fd.get(), markdown, "README.md");
  sync_fd(fd.get(), "README.md");
  return files_.emplace_back(
      entry_of("README.md", FileRole::card, hash_file(fd.get(), "README.md", work_.uncounted())));
}

void OrganWriter::commit(Manifest manifest) {
  std::sort(files_.begin(), files_.end(),
            [](const FileEntry& a, const FileEntry& b) { return a.path < b.path; });
  manifest.files = files_;
  const std::string text = manifest.to_text();
  if (text.size() > kManifestLimit) {
    throw Error(ErrorCode::incompatible,
                fmt::format("organ.json would have {} bytes, at most {} are read", text.size(),
                            kManifestLimit),
                "an organ of fewer layers has fewer tensors to list");
  }
  try {
    Manifest::parse(text, kManifestFile);
  } catch (const Error& error) {  // damage in what we write is a wrong argument of the caller
    throw Error(ErrorCode::invalid_argument, error.message(), error.hint());
  }
  write_file(folder_.path() / kManifestFile, text, AtomicFile::Mode::replace, permissions_);
  folder_.commit();
}

}  // namespace organ::format
