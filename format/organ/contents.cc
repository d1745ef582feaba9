// SPDX-License-Identifier: Apache-2.0
// verify_contents: every byte of an organ against its manifest, damage named as narrowly as the
// digests allow.
#include <algorithm>
#include <iterator>
#include <map>

#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/organ/finite_check.h"
#include "format/organ/internal/file_digests.h"
#include "format/organ/internal/finite_scan.h"
#include "format/organ/organ_source.h"

namespace organ::format {
namespace {

using internal::damage;
using internal::tensor_subject;

// Files that are open at one time; an organ may have thousands.
constexpr std::size_t kBatch = 64;

struct OpenFile {
  const FileEntry* entry;
  UniqueFd fd;
};

Finding finding_of(const FileEntry& file, const Error& error) {
  return Finding::of(escape_text(file.path), error);
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

// What the bytes of one file give: the digests of its pieces, of the whole and of its tensors.
// Without flat digests the pieces alone.
struct Found {
  std::vector<Digest> pieces;
  std::optional<Digest> flat;
  std::vector<Digest> tensors;
};

// The digests of pieces and tensors, computed while the bytes of a file pass once, in order.
class PassingDigests {
 public:
  explicit PassingDigests(const FileEntry& entry) : entry_(&entry), tensors_(entry) {}

  void see(std::uint64_t offset, std::span<const std::byte> bytes) {
    tensors_.see(bytes);
    while (!bytes.empty()) {
      const std::uint64_t left = kChunkSize - offset % kChunkSize;
      const auto part = bytes.first(std::min<std::uint64_t>(left, bytes.size()));
      piece_.update(part);
      if (part.size() == left) pieces_.push_back(piece_.finish());
      offset += part.size();
      bytes = bytes.subspan(part.size());
    }
  }

  // After the last byte.
  Found finish(const Digest& flat) {
    if (entry_->size % kChunkSize != 0) pieces_.push_back(piece_.finish());
    return {.pieces = std::move(pieces_), .flat = flat, .tensors = tensors_.finish()};
  }

 private:
  const FileEntry* entry_;
  Sha256Hasher piece_;
  std::vector<Digest> pieces_;
  internal::PassingTensors tensors_;
};

void compare(const OpenFile& file, const Found& found, const Work& work,
             std::vector<Finding>& findings) {
  const std::size_t before = findings.size();
  DamagedTensors damaged(file, work.uncounted());
  for (std::size_t i = 0; i < found.pieces.size(); ++i) {
    if (found.pieces[i] != file.entry->chunks[i]) {
      locate(file, i, found.pieces[i], damaged, findings);
    }
  }
  if (findings.size() != before) return;
  try {
    internal::check_header(*file.entry, file.fd.get(), findings);
    if (found.flat) internal::check_whole(*file.entry, *found.flat, found.tensors, findings);
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
        damage(entry.path, fmt::format("has {}, expected {}: {}", counted(size, "byte"), entry.size,
                                       entry.tensors.empty() ? "not the file that was published"
                                                             : first_cut_off(entry, size))));
  } catch (const Error& error) {
    findings.push_back(finding_of(entry, error));
  }
  return std::nullopt;
}

std::vector<Digest> hash_and_look(std::span<const HashRange> ranges, const OrganSource& organ,
                                  const Work& work, const BytesSeen& seen) {
  return seen ? hash_seen(ranges, organ.describe(), work, seen)
              : hash_ranges(ranges, organ.describe(), work);
}

// Pieces of all files side by side.
std::vector<Found> hash_pieces(const OrganSource& organ, const std::vector<OpenFile>& files,
                               const Work& work, FiniteCheck* finite) {
  internal::FiniteScan scan;
  std::vector<HashRange> ranges;
  for (const OpenFile& file : files) {
    const auto pieces = piece_ranges(file);
    ranges.insert(ranges.end(), pieces.begin(), pieces.end());
    if (finite != nullptr) scan.add_pieces(*file.entry, file.fd.get());
  }
  const auto digests =
      hash_and_look(ranges, organ, work, finite != nullptr ? scan.seen() : BytesSeen());
  if (finite != nullptr) scan.finish(finite->found);
  std::vector<Found> found;
  auto rest = digests.begin();
  for (const OpenFile& file : files) {
    const auto end = rest + static_cast<std::ptrdiff_t>(file.entry->chunks.size());
    found.push_back({.pieces = {rest, end}, .flat = {}, .tensors = {}});
    rest = end;
  }
  return found;
}

// Files side by side, each from its first byte to its last.
std::vector<Found> hash_whole(const OrganSource& organ, const std::vector<OpenFile>& files,
                              const Work& work, FiniteCheck* finite) {
  internal::FiniteScan scan;
  std::vector<HashRange> ranges;
  std::vector<PassingDigests> passing;
  for (const OpenFile& file : files) {
    ranges.push_back({file.fd.get(), 0, file.entry->size});
    passing.emplace_back(*file.entry);
    if (finite != nullptr) scan.add_whole(*file.entry, file.fd.get());
  }
  const BytesSeen look = finite != nullptr ? scan.seen() : BytesSeen();
  const auto flat =
      hash_seen(ranges, organ.describe(), work,
                [&](std::size_t file, std::uint64_t offset, std::span<const std::byte> bytes) {
                  passing[file].see(offset, bytes);
                  if (look) look(file, offset, bytes);
                });
  if (finite != nullptr) scan.finish(finite->found);
  std::vector<Found> found;
  for (std::size_t i = 0; i < files.size(); ++i) found.push_back(passing[i].finish(flat[i]));
  return found;
}

// Of a file whose every byte was looked at when it was fetched.
bool take_passed(const OrganSource& organ, const FileEntry& entry, const Work& work,
                 FiniteCheck* finite) {
  const PassedFile* passed = organ.passed(entry);
  if (passed == nullptr) return false;
  if (finite != nullptr) {
    finite->found.insert(finite->found.end(), passed->not_finite.begin(), passed->not_finite.end());
  }
  work.advance(entry.size);
  return true;
}

void verify_open(const OrganSource& organ, const std::vector<OpenFile>& files,
                 const ContentOptions& options, const Work& work, FiniteCheck* finite,
                 std::vector<Finding>& findings) {
  const std::vector<Found> found = options.flat_digests ? hash_whole(organ, files, work, finite)
                                                        : hash_pieces(organ, files, work, finite);
  for (const OpenFile& file : files) {
    if (finite != nullptr) finite->read += file.entry->size;
  }
  for (std::size_t i = 0; i < files.size(); ++i) compare(files[i], found[i], work, findings);
}

// Where one of several files cannot be read to its end, which one it is, and what the others have.
void verify_one_by_one(const OrganSource& organ, std::vector<OpenFile> files,
                       const ContentOptions& options, const Work& work, FiniteCheck* finite,
                       std::vector<Finding>& findings) {
  std::vector<OpenFile> one;
  for (OpenFile& file : files) {
    one.clear();
    one.push_back(std::move(file));
    try {
      verify_open(organ, one, options, work, finite, findings);
    } catch (const Error& error) {
      if (error.code() == ErrorCode::cancelled) throw;
      findings.push_back(finding_of(*one.front().entry, error));
    }
  }
}

void verify_batch(const OrganSource& organ, std::span<const FileEntry> entries,
                  const ContentOptions& options, const Work& work, FiniteCheck* finite,
                  std::vector<Finding>& findings) {
  std::vector<OpenFile> files;
  for (const FileEntry& entry : entries) {
    if (take_passed(organ, entry, work, finite)) continue;
    auto file = open_file(organ, entry, findings);
    if (file) files.push_back(std::move(*file));
  }
  const std::size_t before = findings.size();
  const FiniteCheck looked = finite != nullptr ? *finite : FiniteCheck();
  try {
    verify_open(organ, files, options, work, finite, findings);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::cancelled) throw;
    if (files.size() == 1) return findings.push_back(finding_of(*files.front().entry, error));
    findings.resize(before);
    if (finite != nullptr) *finite = looked;
    verify_one_by_one(organ, std::move(files), options, work.uncounted(), finite, findings);
  }
}

std::vector<Finding> verify_all(const OrganSource& organ, const ContentOptions& options,
                                const Work& work, FiniteCheck* finite) {
  std::vector<Finding> findings;
  const Work verifying = work.phase("verifying", verified_size(organ.manifest()));
  const std::span<const FileEntry> files(organ.manifest().files);
  for (std::size_t at = 0; at < files.size(); at += kBatch) {
    verify_batch(organ, files.subspan(at, std::min(kBatch, files.size() - at)), options, verifying,
                 finite, findings);
  }
  std::ranges::move(organ.odd_entries(), std::back_inserter(findings));
  return findings;
}

}  // namespace

std::uint64_t verified_size(const Manifest& organ) {
  std::uint64_t bytes = 0;
  for (const FileEntry& file : organ.files) bytes += file.size;
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
