// SPDX-License-Identifier: Apache-2.0
// verify_contents: every byte of an organ against its manifest, damage named as narrowly as the
// digests allow.
#include <algorithm>
#include <map>

#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/organ/finite_check.h"
#include "format/organ/internal/finite_scan.h"
#include "format/organ/organ_source.h"

namespace organ::format {
namespace {

// Files that are open at one time; an organ may have thousands.
constexpr std::size_t kBatch = 64;

struct OpenFile {
  const FileEntry* entry;
  UniqueFd fd;
};

Finding damage(std::string subject, std::string message) {
  return {ErrorCode::corrupt, std::move(subject), std::move(message)};
}

Finding finding_of(const FileEntry& file, const Error& error) {
  return {error.code(), escape_text(file.path), error.message()};
}

std::string tensor_subject(const FileEntry& file, const TensorInfo& tensor) {
  return fmt::format("{}: tensor {}", file.path, quote(tensor.name));
}

// The first tensor that does not lie wholly before `size` bytes of the file.
std::string first_cut_off(const FileEntry& file, std::uint64_t size) {
  if (size < file.data_start) return "the header is cut off";
  for (const TensorInfo& tensor : file.tensors) {
    const std::uint64_t end = file.data_start + tensor.offset + tensor.size;
    if (end > size) {
      return fmt::format("tensor {} ends at byte {}", quote(tensor.name), end);
    }
  }
  return "bytes follow the last tensor";
}

std::vector<HashRange> piece_ranges(const OpenFile& file) {
  std::vector<HashRange> ranges;
  for (std::uint64_t at = 0; at < file.entry->size; at += kChunkSize) {
    ranges.push_back({file.fd.get(), at, std::min(kChunkSize, file.entry->size - at)});
  }
  return ranges;
}

// Finds out which tensors of one file have other bytes than they should, each hashed once.
class DamagedTensors {
 public:
  DamagedTensors(const OpenFile& file, const Work& work) : file_(file), work_(work) {}

  bool contains(std::size_t index) {
    const auto [known, is_new] = known_.try_emplace(index, false);
    if (is_new) {
      const TensorInfo& tensor = file_.entry->tensors[index];
      const HashRange range{file_.fd.get(), file_.entry->data_start + tensor.offset, tensor.size};
      const Digest found = hash_ranges({&range, 1}, file_.entry->path, work_)[0];
      known->second = found != file_.entry->tensor_digests[index];
    }
    return known->second;
  }

 private:
  const OpenFile& file_;
  Work work_;
  std::map<std::size_t, bool> known_;
};

// One finding for each part of the file (header, tensor) that a damaged piece touches and whose
// own bytes are wrong.
void locate(const OpenFile& file, std::size_t piece, const Digest& found, DamagedTensors& damaged,
            std::vector<Finding>& findings) {
  const FileEntry& entry = *file.entry;
  const std::uint64_t begin = piece * kChunkSize;
  const std::uint64_t end = std::min(begin + kChunkSize, entry.size);
  const std::string digests = fmt::format("piece {} has digest {}, expected {}", piece, found.hex(),
                                          entry.chunks[piece].hex());
  const std::size_t before = findings.size();
  for (std::size_t i = 0; i < entry.tensors.size(); ++i) {
    const TensorInfo& tensor = entry.tensors[i];
    const std::uint64_t first = std::max(begin, entry.data_start + tensor.offset);
    const std::uint64_t last = std::min(end, entry.data_start + tensor.offset + tensor.size);
    if (first >= last || !damaged.contains(i)) continue;
    findings.push_back(damage(
        tensor_subject(entry, tensor),
        fmt::format("damaged between bytes {} and {} of the file: {}", first, last - 1, digests)));
  }
  if (findings.size() != before) return;
  const bool in_header = begin < entry.data_start;
  findings.push_back(
      damage(in_header ? entry.path + ": header" : entry.path,
             fmt::format("damaged between bytes {} and {} of the file: {}", begin,
                         (in_header ? std::min(end, entry.data_start) : end) - 1, digests)));
}

// Does the file's own header say what the manifest says?
void check_header(const OpenFile& file, std::vector<Finding>& findings) {
  const FileEntry& entry = *file.entry;
  if (entry.role == FileRole::card) return;
  std::string prefix(entry.data_start, '\0');
  read_at(file.fd.get(), 0, std::as_writable_bytes(std::span(prefix)), entry.path);
  const SafetensorsHeader header = parse_safetensors_header(prefix, entry.size, entry.path);
  if (header.tensors == entry.tensors) return;
  for (const TensorInfo& tensor : entry.tensors) {
    const TensorInfo* stored = header.find(tensor.name);
    if (stored != nullptr && *stored == tensor) continue;
    findings.push_back(damage(
        tensor_subject(entry, tensor),
        stored == nullptr
            ? std::string("is in organ.json but not in the file")
            : fmt::format("is {} {} at {} in organ.json but {} {} at {} in the file",
                          to_string(tensor.dtype), to_string(tensor.shape), tensor.offset,
                          to_string(stored->dtype), to_string(stored->shape), stored->offset)));
    return;
  }
  findings.push_back(damage(entry.path, "has tensors that organ.json does not list"));
}

// The digests that piecewise verification has no need of.
void check_other_digests(const OpenFile& file, const Work& work, std::vector<Finding>& findings) {
  const FileEntry& entry = *file.entry;
  const Digest flat = hash_file_flat(file.fd.get(), entry.path, work);
  if (flat != entry.digest) {
    findings.push_back(damage(
        entry.path, fmt::format("every piece is right but the file's digest is {}, expected {}",
                                flat.hex(), entry.digest.hex())));
  }
  DamagedTensors damaged(file, work);
  for (std::size_t i = 0; i < entry.tensors.size(); ++i) {
    if (damaged.contains(i)) {
      findings.push_back(damage(tensor_subject(entry, entry.tensors[i]),
                                "every piece is right but the tensor's digest is not"));
    }
  }
}

void compare_pieces(const OpenFile& file, std::span<const Digest> found,
                    const ContentOptions& options, const Work& work,
                    std::vector<Finding>& findings) {
  const std::size_t before = findings.size();
  DamagedTensors damaged(file, work.uncounted());
  for (std::size_t i = 0; i < found.size(); ++i) {
    if (found[i] != file.entry->chunks[i]) locate(file, i, found[i], damaged, findings);
  }
  if (findings.size() != before) return;
  try {
    check_header(file, findings);
    if (options.flat_digests) check_other_digests(file, work, findings);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::cancelled) throw;
    findings.push_back(finding_of(*file.entry, error));
  }
}

std::optional<OpenFile> open_file(const OrganSource& organ, const FileEntry& entry,
                                  std::vector<Finding>& findings) {
  try {
    OpenFile file{&entry, organ.open(entry)};
    const std::uint64_t size = file_size(file.fd.get(), entry.path);
    if (size == entry.size) return file;
    findings.push_back(
        damage(entry.path, fmt::format("has {} bytes, expected {}: {}", size, entry.size,
                                       entry.tensors.empty() ? "not the file that was published"
                                                             : first_cut_off(entry, size))));
  } catch (const Error& error) {
    findings.push_back(finding_of(entry, error));
  }
  return std::nullopt;
}

void verify_batch(const OrganSource& organ, std::span<const FileEntry> entries,
                  const ContentOptions& options, const Work& work, FiniteCheck* finite,
                  std::vector<Finding>& findings) {
  std::vector<OpenFile> files;
  std::vector<HashRange> ranges;
  for (const FileEntry& entry : entries) {
    auto file = open_file(organ, entry, findings);
    if (!file) continue;
    files.push_back(std::move(*file));
    const auto pieces = piece_ranges(files.back());
    ranges.insert(ranges.end(), pieces.begin(), pieces.end());
  }
  std::vector<Digest> digests;
  if (finite == nullptr) {
    digests = hash_ranges(ranges, organ.describe(), work);
  } else {
    internal::FiniteScan scan;
    for (const OpenFile& file : files) scan.add_pieces(*file.entry, file.fd.get());
    digests = hash_seen(ranges, organ.describe(), work, scan.seen());
    scan.finish(finite->found);
  }
  std::span<const Digest> rest(digests);
  for (const OpenFile& file : files) {
    const std::size_t pieces = file.entry->chunks.size();
    compare_pieces(file, rest.first(pieces), options, work, findings);
    rest = rest.subspan(pieces);
  }
}

std::vector<Finding> verify_all(const OrganSource& organ, const ContentOptions& options,
                                const Work& work, FiniteCheck* finite) {
  std::vector<Finding> findings;
  const Work verifying = work.phase("verifying", verified_size(organ.manifest(), options));
  const std::span<const FileEntry> files(organ.manifest().files);
  for (std::size_t at = 0; at < files.size(); at += kBatch) {
    verify_batch(organ, files.subspan(at, std::min(kBatch, files.size() - at)), options, verifying,
                 finite, findings);
  }
  return findings;
}

}  // namespace

std::uint64_t verified_size(const Manifest& organ, const ContentOptions& options) {
  std::uint64_t bytes = 0;
  for (const FileEntry& file : organ.files) {
    bytes += file.size;
    if (!options.flat_digests) continue;
    bytes += file.size;
    for (const TensorInfo& tensor : file.tensors) bytes += tensor.size;
  }
  return bytes;
}

std::vector<Finding> verify_contents(const OrganSource& organ, const ContentOptions& options,
                                     const Work& work) {
  return verify_all(organ, options, work, nullptr);
}

std::vector<Finding> verify_contents(const OrganSource& organ, const ContentOptions& options,
                                     const Work& work, FiniteCheck& finite) {
  return verify_all(organ, options, work, &finite);
}

}  // namespace organ::format
