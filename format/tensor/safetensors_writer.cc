// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstring>

#include <nlohmann/json.hpp>

#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/base/json.h"
#include "format/base/try_thread.h"
#include "format/tensor/safetensors.h"

namespace organ::format {
namespace {

constexpr std::uint64_t kDataAlignment = 4096;  // O_DIRECT, GDS and mmap friendly
constexpr std::uint64_t kTensorAlignment = 64;

// Collects kChunkSize bytes at a time; a full chunk is hashed on a second thread while the flat
// digest and the write go on in this one.
class HashingWriter {
 public:
  HashingWriter(int fd, std::string_view subject, unsigned threads)
      : fd_(fd), subject_(subject), buffer_(kChunkSize), beside_(threads) {}

  // Free space of the current chunk, never empty. Bytes put there count after advance().
  std::span<std::byte> room() { return std::span(buffer_).subspan(used_); }
  void advance(std::size_t bytes) {
    used_ += bytes;
    if (used_ == buffer_.size()) flush();
  }

  void append(std::string_view text) {
    auto bytes = std::as_bytes(std::span(text));
    while (!bytes.empty()) {
      const std::size_t n = std::min(bytes.size(), room().size());
      std::memcpy(room().data(), bytes.data(), n);
      advance(n);
      bytes = bytes.subspan(n);
    }
  }

  FileDigest finish() {
    if (used_ > 0) flush();
    result_.digest = flat_.finish();
    return std::move(result_);
  }

 private:
  void flush() {
    const auto bytes = std::span<const std::byte>(buffer_).first(used_);
    beside_.update(chunk_, bytes);
    flat_.update(bytes);
    write_all(fd_, bytes, subject_);
    beside_.wait();
    result_.chunks.push_back(chunk_.finish());
    result_.size += used_;
    used_ = 0;
  }

  int fd_;
  std::string_view subject_;
  std::vector<std::byte> buffer_;
  std::size_t used_ = 0;
  Sha256Hasher flat_, chunk_;
  FileDigest result_;
  HashBeside beside_;
};

void check_writable(const TensorInfo& tensor) {
  const SafetensorsLimits limits;
  if (const auto flaw = tensor_name_flaw(tensor.name, limits.name_bytes)) {
    fail(ErrorCode::invalid_argument, "tensor name {}: {}", quote(tensor.name), *flaw);
  }
  if (tensor.shape.size() > limits.rank) {
    fail(ErrorCode::invalid_argument, "tensor {}: has {} dimensions, the limit is {}",
         quote(tensor.name), tensor.shape.size(), limits.rank);
  }
  const auto subject = fmt::format("tensor {}", quote(tensor.name));
  const std::uint64_t demanded = byte_size(tensor.dtype, tensor.shape, subject);
  if (tensor.size != demanded) {
    fail(ErrorCode::invalid_argument, "{}: shape {} of {} needs {} but {} are given", subject,
         to_string(tensor.shape), to_string(tensor.dtype), counted(demanded, "byte"), tensor.size);
  }
}

bool canonical_order(const TensorInfo& a, const TensorInfo& b) {
  const auto rank = [](const TensorInfo& t) {
    return std::pair(-static_cast<int>(bit_width(t.dtype)), t.size % kTensorAlignment != 0);
  };
  return rank(a) != rank(b) ? rank(a) < rank(b) : a.name < b.name;
}

void refuse_duplicates(const std::vector<TensorInfo>& tensors) {
  std::vector<std::string_view> names;
  names.reserve(tensors.size());
  for (const TensorInfo& tensor : tensors) names.push_back(tensor.name);
  std::sort(names.begin(), names.end());
  const auto twice = std::adjacent_find(names.begin(), names.end());
  if (twice != names.end()) {
    fail(ErrorCode::invalid_argument, "tensor {}: is given twice", quote(*twice));
  }
}

// Sorts into file order and assigns the offsets.
void lay_out(std::vector<TensorInfo>& tensors) {
  if (tensors.size() > SafetensorsLimits{}.tensors) {
    fail(ErrorCode::invalid_argument, "{} tensors are more than the limit of {}", tensors.size(),
         SafetensorsLimits{}.tensors);
  }
  for (const TensorInfo& tensor : tensors) check_writable(tensor);
  refuse_duplicates(tensors);
  std::sort(tensors.begin(), tensors.end(), canonical_order);
  std::uint64_t position = 0;
  for (TensorInfo& tensor : tensors) {
    tensor.offset = position;
    position = checked_add(position, tensor.size, "size of all tensors");
  }
}

void check_metadata(const std::map<std::string, std::string>& metadata) {
  std::uint64_t bytes = 0;
  for (const auto& [key, value] : metadata) bytes += key.size() + value.size();
  if (bytes <= SafetensorsLimits{}.metadata_bytes) return;
  fail(ErrorCode::invalid_argument, "metadata of {} bytes are beyond the limit of {}", bytes,
       SafetensorsLimits{}.metadata_bytes);
}

std::string length_word(std::uint64_t length) {
  std::string word(8, '\0');
  for (char& c : word) {
    c = static_cast<char>(length & 0xff);
    length >>= 8;
  }
  return word;
}

}  // namespace

std::string canonical_header(std::vector<TensorInfo>& tensors,
                             const std::map<std::string, std::string>& metadata) {
  lay_out(tensors);
  check_metadata(metadata);
  Json document = Json::object();
  if (!metadata.empty()) document["__metadata__"] = metadata;
  for (const TensorInfo& tensor : tensors) {
    document[tensor.name] = {{"dtype", to_string(tensor.dtype)},
                             {"shape", tensor.shape},
                             {"data_offsets", {tensor.offset, tensor.offset + tensor.size}}};
  }
  std::string json = canonical_json(document);
  const std::uint64_t padding =
      (kDataAlignment - (8 + json.size()) % kDataAlignment) % kDataAlignment;
  json.append(padding, ' ');
  if (json.size() > SafetensorsLimits{}.header_bytes) {
    fail(ErrorCode::invalid_argument, "header of {} bytes is beyond the limit of {}", json.size(),
         SafetensorsLimits{}.header_bytes);
  }
  return length_word(json.size()) + json;
}

TensorSource memory_source(TensorInfo info, std::span<const std::byte> bytes) {
  info.size = bytes.size();
  return {std::move(info), [bytes](std::uint64_t offset, std::span<std::byte> out) {
            if (!out.empty()) std::memcpy(out.data(), bytes.data() + offset, out.size());
          }};
}

TensorSource file_source(TensorInfo info, const SafetensorsFile& file, const TensorInfo& stored) {
  info.size = stored.size;
  const std::uint64_t start = file.header().data_start + stored.offset;
  return {std::move(info), [&file, start](std::uint64_t offset, std::span<std::byte> out) {
            read_at(file.fd(), start + offset, out, file.subject());
          }};
}

std::uint64_t total_size(const std::vector<TensorSource>& sources) {
  std::uint64_t bytes = 0;
  for (const TensorSource& source : sources) bytes += source.info.size;
  return bytes;
}

FileDigest write_safetensors(int fd, std::vector<TensorSource> tensors,
                             const std::map<std::string, std::string>& metadata,
                             std::string_view subject, const Work& work) {
  std::vector<TensorInfo> infos;
  infos.reserve(tensors.size());
  for (const TensorSource& source : tensors) infos.push_back(source.info);
  const std::string header = canonical_header(infos, metadata);
  std::sort(tensors.begin(), tensors.end(), [](const TensorSource& a, const TensorSource& b) {
    return canonical_order(a.info, b.info);
  });
  HashingWriter writer(fd, subject, work.threads());
  writer.append(header);
  for (const TensorSource& source : tensors) {
    for (std::uint64_t done = 0; done < source.info.size;) {
      const auto n = std::min<std::uint64_t>(source.info.size - done, writer.room().size());
      source.read(done, writer.room().first(n));
      writer.advance(n);
      done += n;
      work.advance(n);
    }
  }
  return writer.finish();
}

}  // namespace organ::format
