// SPDX-License-Identifier: Apache-2.0
#include "format/pickle/torch_file.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/pickle/internal/strided_tensor.h"
#include "format/pickle/internal/torch_storages.h"

namespace organ::format {
namespace {

constexpr std::string_view kZip = "PK\x03\x04";
// Elements that lie further apart, by their mean, are read one by one: what is between them may be
// more than the memory, in a file that is mostly holes too.
constexpr std::uint64_t kMostApart = 8;
constexpr std::uint64_t kLooked = 512;  // the first bytes that tell what a file is

[[noreturn]] void refuse_kind(std::string_view first_bytes, std::string_view subject) {
  constexpr std::string_view kTar = "ustar";
  constexpr std::size_t kTarPlace = 257;
  const std::string shown = quote(subject);
  if (first_bytes.starts_with("version ")) {
    throw Error(ErrorCode::corrupt, shown + ": is a Git LFS pointer, not the weights",
                "fetch the weights with 'git lfs pull'");
  }
  if (first_bytes.size() > kTarPlace && first_bytes.substr(kTarPlace).starts_with(kTar)) {
    throw Error(ErrorCode::incompatible, shown + ": is a tar archive, as torch before 0.1.10 wrote",
                "load it with torch and save it again");
  }
  throw Error(ErrorCode::corrupt,
              shown + ": is no file of torch.save (neither a ZIP file nor a pickle)");
}

TorchTensor described(const internal::NamedTensor& named, const internal::TorchContents& contents,
                      std::string_view subject) {
  const internal::TensorRef& tensor = contents.pickled.tensors[named.tensor];
  TorchTensor result;
  result.name = named.name;
  result.dtype = tensor.type;
  result.shape = tensor.shape;
  result.strides = tensor.strides;
  result.size = byte_size(tensor.type, tensor.shape, subject);
  // Inside the file, but for an empty tensor, of which nothing is read.
  result.begin = contents.places[tensor.storage];
  if (result.size > 0) result.begin += tensor.offset * bit_width(tensor.type) / 8;
  return result;
}

}  // namespace

bool TorchFile::looks_like_one(std::string_view first_bytes) {
  return first_bytes.starts_with(kZip) || (first_bytes.size() > 1 && first_bytes[0] == '\x80' &&
                                           first_bytes[1] >= 2 && first_bytes[1] <= 5);
}

TorchFile TorchFile::open(const std::filesystem::path& path) {
  TorchFile file;
  file.fd_ = open_regular(path);
  file.subject_ = path.string();
  const std::uint64_t size = file_size(file.fd(), file.subject_);
  std::string first(std::min(size, kLooked), '\0');
  read_at(file.fd(), 0, std::as_writable_bytes(std::span(first)), file.subject_);
  if (!looks_like_one(first)) refuse_kind(first, file.subject_);
  internal::TorchContents contents;
  if (first.starts_with(kZip)) {
    const internal::ZipArchive archive = internal::read_zip(file.fd(), file.subject_);
    internal::read_torch_zip(file.fd(), archive, file.subject_, contents);
    for (const auto& [name, member] : archive.members) {
      file.members_.push_back({name, member.begin, member.size, member.crc});
    }
  } else {
    internal::read_torch_stream(file.fd(), file.subject_, contents);
  }
  for (const auto& named : internal::name_tensors(contents.pickled, file.subject_)) {
    file.tensors_.push_back(described(named, contents, quote(file.subject_)));
  }
  return file;
}

std::uint64_t TorchFile::checked_size() const {
  std::uint64_t bytes = 0;
  for (const Member& member : members_) bytes += member.size;
  return bytes;
}

void TorchFile::check(const Work& work) const {
  for (const Member& member : members_) {
    internal::check_member(fd(), member.name, {member.begin, member.size, member.crc}, subject_,
                           work);
  }
}

TensorSource TorchFile::source(const TorchTensor& tensor, std::string name) const {
  TensorSource source;
  source.info = {std::move(name), tensor.dtype, tensor.shape, 0, tensor.size};
  if (internal::lies_in_order(tensor.shape, tensor.strides)) {
    source.read = [this, begin = tensor.begin](std::uint64_t offset, std::span<std::byte> out) {
      read_at(fd(), begin + offset, out, subject_);
    };
    return source;
  }
  const std::size_t element = bit_width(tensor.dtype) / 8;
  const std::uint64_t held = internal::extent(tensor.shape, tensor.strides) * element;
  if (held / kMostApart > tensor.size) {
    source.read = [this, &tensor, element](std::uint64_t offset, std::span<std::byte> out) {
      const auto copy = [&](std::uint64_t from, std::span<std::byte> to) {
        read_at(fd(), tensor.begin + from, to, subject_);
      };
      internal::gather(copy, tensor.shape, tensor.strides, element, offset, out);
    };
    return source;
  }
  const auto stored = std::make_shared<std::vector<std::byte>>();  // of the function and its copies
  source.read = [this, &tensor, stored, element, held](std::uint64_t offset,
                                                       std::span<std::byte> out) {
    if (stored->empty()) {
      stored->resize(held);
      read_at(fd(), tensor.begin, *stored, subject_);
    }
    internal::gather(*stored, tensor.shape, tensor.strides, element, offset, out);
    if (offset + out.size() == tensor.size) std::vector<std::byte>().swap(*stored);
  };
  return source;
}

}  // namespace organ::format
