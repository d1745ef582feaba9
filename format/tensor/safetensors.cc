// SPDX-License-Identifier: Apache-2.0
#include "format/tensor/safetensors.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/tensor/internal/header_json.h"

namespace organ::format {
namespace {

constexpr std::uint64_t kLengthBytes = 8;

// The data section is tiled: no hole, no overlap, no byte after the last tensor.
void check_tiling(const SafetensorsHeader& header, std::string_view subject) {
  std::uint64_t position = 0;
  for (const TensorInfo& tensor : header.tensors) {
    if (tensor.offset != position) {
      fail(ErrorCode::corrupt, "{}: tensor {}: data begins at byte {}, expected {} ({})", subject,
           quote(tensor.name), tensor.offset, position,
           tensor.offset < position ? "overlap" : "hole");
    }
    position += tensor.size;  // cannot wrap: offset + size was an unsigned 64-bit end
  }
  const std::uint64_t data_size = header.file_size - header.data_start;
  if (position == data_size) return;
  if (position > data_size) {
    // One of the tensors crosses the end; name it.
    const auto over = std::find_if(
        header.tensors.begin(), header.tensors.end(),
        [&](const TensorInfo& tensor) { return tensor.offset + tensor.size > data_size; });
    fail(ErrorCode::corrupt, "{}: tensor {}: data ends at byte {} but the file has {}", subject,
         quote(over->name), header.data_start + over->offset + over->size, header.file_size);
  }
  fail(ErrorCode::corrupt, "{}: {} after the last tensor", subject,
       counted(data_size - position, "byte"));
}

void index_tensors(SafetensorsHeader& header) {
  std::sort(header.tensors.begin(), header.tensors.end(),
            [](const TensorInfo& a, const TensorInfo& b) {
              return std::tie(a.offset, a.size, a.name) < std::tie(b.offset, b.size, b.name);
            });
  header.by_name.resize(header.tensors.size());
  std::iota(header.by_name.begin(), header.by_name.end(), 0U);
  std::sort(header.by_name.begin(), header.by_name.end(), [&](std::uint32_t a, std::uint32_t b) {
    return header.tensors[a].name < header.tensors[b].name;
  });
}

std::uint64_t read_length(std::string_view prefix) {
  std::uint64_t length = 0;
  for (unsigned i = kLengthBytes; i-- > 0;) {
    length = length << 8 | static_cast<unsigned char>(prefix[i]);
  }
  return length;
}

// What the first bytes of something else look like; all of these make impossible lengths.
struct Impostor {
  std::string_view magic;
  std::string_view what;
  std::string_view hint;
};
constexpr Impostor kImpostors[] = {
    {"version ", "a Git LFS pointer, not the weights", "fetch the weights with 'git lfs pull'"},
    {"PK\x03\x04", "a ZIP archive (perhaps a PyTorch .pt file)", "use a safetensors file"},
    {"\x80\x02", "a pickle", "use a safetensors file"},
    {"\x80\x03", "a pickle", "use a safetensors file"},
    {"\x80\x04", "a pickle", "use a safetensors file"},
    {"\x80\x05", "a pickle", "use a safetensors file"},
    {"GGUF", "a GGUF file", "use a safetensors file"},
};

void refuse_length(std::string_view first_bytes, std::string_view subject,
                   const std::string& reason) {
  for (const Impostor& impostor : kImpostors) {
    if (first_bytes.starts_with(impostor.magic)) {
      throw Error(ErrorCode::corrupt, fmt::format("{}: is {}", subject, impostor.what),
                  std::string(impostor.hint));
    }
  }
  fail(ErrorCode::corrupt, "{}: {}", subject, reason);
}

// Validates the length word against the file and the limits before anything is allocated.
std::uint64_t header_length(std::string_view first_bytes, std::uint64_t file_size,
                            std::string_view subject, const SafetensorsLimits& limits) {
  if (first_bytes.size() < kLengthBytes) {
    fail(ErrorCode::corrupt, "{}: file is too short: {}, expected at least {}", subject,
         counted(file_size, "byte"), kLengthBytes + 2);
  }
  const std::uint64_t length = read_length(first_bytes);
  const std::uint64_t limit = std::min(limits.header_bytes, internal::kHeaderCap);
  if (length > limit) {
    refuse_length(first_bytes, subject,
                  fmt::format("header length {} is beyond the limit of {} bytes", length, limit));
  }
  if (length > file_size - kLengthBytes) {
    refuse_length(first_bytes, subject,
                  fmt::format("header length {} does not fit the file of {}", length,
                              counted(file_size, "byte")));
  }
  if (length < 2) {
    fail(ErrorCode::corrupt, "{}: header is empty ({}, expected at least 2)", subject,
         counted(length, "byte"));
  }
  return length;
}

}  // namespace

std::optional<std::string> tensor_name_flaw(std::string_view name, std::uint64_t limit) {
  if (name.empty()) return "is empty";
  if (name.size() > limit) {
    return fmt::format("is longer than {} bytes ({})", limit, name.size());
  }
  for (const char c : name) {
    if (c < 0x20 || c > 0x7e) return "holds a byte that is not printable ASCII";
    if (c == '/' || c == '\\') return "looks like a path";
  }
  if (name == "." || name.starts_with("..")) return "looks like a path";
  if (name == internal::kMetadataKey) return "is reserved";
  return std::nullopt;
}

const TensorInfo* SafetensorsHeader::find(std::string_view name) const {
  const auto found = std::lower_bound(
      by_name.begin(), by_name.end(), name,
      [&](std::uint32_t index, std::string_view wanted) { return tensors[index].name < wanted; });
  if (found == by_name.end() || tensors[*found].name != name) return nullptr;
  return &tensors[*found];
}

SafetensorsHeader parse_safetensors_header(std::string_view prefix, std::uint64_t file_size,
                                           std::string_view subject,
                                           const SafetensorsLimits& limits) {
  const std::string shown = quote(subject);
  const std::uint64_t length = header_length(prefix, file_size, shown, limits);
  check(prefix.size() == kLengthBytes + length, "the prefix is the whole header");
  SafetensorsHeader header;
  header.data_start = kLengthBytes + length;
  header.file_size = file_size;
  internal::parse_header_json(prefix.substr(kLengthBytes), limits, subject, header);
  index_tensors(header);
  check_tiling(header, shown);
  return header;
}

SafetensorsFile SafetensorsFile::open(const std::filesystem::path& path,
                                      const SafetensorsLimits& limits) {
  return from_fd(open_regular(path), path.string(), limits);
}

SafetensorsFile SafetensorsFile::from_fd(UniqueFd fd, std::string subject,
                                         const SafetensorsLimits& limits) {
  const std::uint64_t size = organ::file_size(fd.get(), subject);
  std::string prefix(std::min(size, kLengthBytes), '\0');
  read_at(fd.get(), 0, std::as_writable_bytes(std::span(prefix)), subject);
  const std::uint64_t length = header_length(prefix, size, quote(subject), limits);
  prefix.resize(kLengthBytes + length);
  read_at(fd.get(), kLengthBytes, std::as_writable_bytes(std::span(prefix)).subspan(kLengthBytes),
          subject);
  SafetensorsFile file;
  file.header_ = parse_safetensors_header(prefix, size, subject, limits);
  file.fd_ = std::move(fd);
  file.subject_ = std::move(subject);
  return file;
}

const TensorInfo& SafetensorsFile::tensor(std::string_view name) const {
  const TensorInfo* found = header_.find(name);
  if (!found) {
    fail(ErrorCode::not_found, "{}: has no tensor {}", quote(subject_), quote(name));
  }
  return *found;
}

void SafetensorsFile::read(const TensorInfo& tensor, std::span<std::byte> out) const {
  check(out.size() == tensor.size, "the buffer has the size of the tensor");
  read_at(fd_.get(), header_.data_start + tensor.offset, out, subject_);
}

std::vector<std::byte> SafetensorsFile::read(const TensorInfo& tensor) const {
  std::vector<std::byte> bytes(tensor.size);
  read(tensor, bytes);
  return bytes;
}

}  // namespace organ::format
