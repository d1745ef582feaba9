// SPDX-License-Identifier: Apache-2.0
#include "format/tensor/safetensors.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "format/base/fail.h"
#include "format/base/json.h"

namespace organ::format {
namespace {

constexpr std::uint64_t kLengthBytes = 8;
constexpr std::uint64_t kHeaderCap = 100'000'000;  // of the reference; decimal, not MiB
constexpr std::string_view kMetadataKey = "__metadata__";

// Builds the tensor list straight from the parser's events: no tree of the document ever exists,
// so a hostile header costs no more memory than the tensors the limits admit.
class HeaderEvents final : public JsonEvents {
 public:
  HeaderEvents(std::string_view subject, const SafetensorsLimits& limits, SafetensorsHeader& header)
      : subject_(subject), limits_(limits), header_(header) {}

  void null() override { refuse_value("null"); }
  void boolean(bool value) override { refuse_value(value ? "true" : "false"); }
  void integer(std::int64_t value) override { fail_here(fmt::format("{} is negative", value)); }
  void unsigned_integer(std::uint64_t value) override;
  void real(double value) override { refuse_value(fmt::format("{}", value)); }
  void string(std::string&& value) override;
  void key(std::string&& value) override;
  void start_object() override;
  void end_object() override;
  void start_array() override;
  void end_array() override { place_ = Place::tensor; }

 private:
  // Where the next event belongs.
  enum class Place { start, top, metadata, tensor, shape, offsets, end };
  // The key whose value comes next.
  enum class Awaiting {
    none,
    metadata_object,
    metadata_value,
    tensor_object,
    dtype,
    shape,
    offsets
  };

  void key_on_top(std::string&& name);
  void key_in_tensor(std::string_view name);
  void add_dimension(std::uint64_t value);
  void add_offset(std::uint64_t value);
  void finish_tensor();
  void refuse_value(std::string_view got) const;
  std::string where() const;
  [[noreturn]] void fail_here(std::string_view what) const {
    fail(ErrorCode::corrupt, "{}: {}: {}", subject_, where(), what);
  }

  std::string_view subject_;
  const SafetensorsLimits& limits_;
  SafetensorsHeader& header_;

  Place place_ = Place::start;
  Awaiting awaiting_ = Awaiting::none;
  std::string metadata_key_;
  std::uint64_t metadata_bytes_ = 0;
  TensorInfo tensor_;
  bool has_dtype_ = false, has_shape_ = false;
  unsigned offset_count_ = 0;
  std::uint64_t end_ = 0;  // data_offsets[1]
};

std::string HeaderEvents::where() const {
  switch (place_) {
    case Place::metadata: return "__metadata__";
    case Place::tensor: return fmt::format("tensor {}", quote(tensor_.name));
    case Place::shape: return fmt::format("tensor {}: shape", quote(tensor_.name));
    case Place::offsets: return fmt::format("tensor {}: data_offsets", quote(tensor_.name));
    case Place::start:
    case Place::top:
    case Place::end: break;
  }
  return "header";
}

void HeaderEvents::refuse_value(std::string_view got) const {
  switch (awaiting_) {
    case Awaiting::metadata_object:
      fail_here(fmt::format("__metadata__ is {}, expected an object", got));
    case Awaiting::metadata_value:
      fail_here(fmt::format("value of {} is {}, expected a string", quote(metadata_key_), got));
    case Awaiting::tensor_object:
      fail_here(fmt::format("entry {} is {}, expected an object", quote(tensor_.name), got));
    case Awaiting::dtype: fail_here(fmt::format("dtype is {}, expected a string", got));
    case Awaiting::shape: fail_here(fmt::format("shape is {}, expected an array", got));
    case Awaiting::offsets: fail_here(fmt::format("data_offsets is {}, expected an array", got));
    case Awaiting::none: break;
  }
  if (place_ == Place::start) fail_here(fmt::format("is {}, expected an object", got));
  fail_here(fmt::format("holds {}, expected an integer", got));
}

void HeaderEvents::unsigned_integer(std::uint64_t value) {
  if (place_ == Place::shape) return add_dimension(value);
  if (place_ == Place::offsets) return add_offset(value);
  refuse_value(fmt::format("{}", value));
}

void HeaderEvents::add_dimension(std::uint64_t value) {
  if (value > INT64_MAX) fail_here(fmt::format("dimension {} is beyond 2^63 - 1", value));
  if (tensor_.shape.size() == limits_.rank) {
    fail_here(fmt::format("has more than {} dimensions", limits_.rank));
  }
  tensor_.shape.push_back(value);
}

void HeaderEvents::add_offset(std::uint64_t value) {
  if (offset_count_ == 2) fail_here("has more than 2 elements");
  (offset_count_++ == 0 ? tensor_.offset : end_) = value;
}

void HeaderEvents::string(std::string&& value) {
  if (awaiting_ == Awaiting::metadata_value) {
    metadata_bytes_ += metadata_key_.size() + value.size();
    if (metadata_bytes_ > limits_.metadata_bytes) {
      fail_here(fmt::format("is longer than the limit of {} bytes", limits_.metadata_bytes));
    }
    header_.metadata.emplace(std::move(metadata_key_), std::move(value));
    awaiting_ = Awaiting::none;
    return;
  }
  if (awaiting_ != Awaiting::dtype) refuse_value("the string " + quote(value));
  const auto dtype = parse_dtype(value);
  if (!dtype) fail_here(fmt::format("dtype {} is unknown", quote(value)));
  tensor_.dtype = *dtype;
  has_dtype_ = true;
  awaiting_ = Awaiting::none;
}

void HeaderEvents::key(std::string&& value) {
  if (place_ == Place::top) return key_on_top(std::move(value));
  if (place_ == Place::tensor) return key_in_tensor(value);
  metadata_key_ = std::move(value);
  awaiting_ = Awaiting::metadata_value;
}

void HeaderEvents::key_on_top(std::string&& name) {
  if (name == kMetadataKey) {
    awaiting_ = Awaiting::metadata_object;
    return;
  }
  if (const auto flaw = tensor_name_flaw(name, limits_.name_bytes)) {
    fail(ErrorCode::corrupt, "{}: tensor name {}: {}", subject_, quote(name), *flaw);
  }
  if (header_.tensors.size() == limits_.tensors) {
    fail_here(fmt::format("has more than {} tensors", limits_.tensors));
  }
  tensor_ = TensorInfo{};
  tensor_.name = std::move(name);
  has_dtype_ = has_shape_ = false;
  offset_count_ = 0;
  awaiting_ = Awaiting::tensor_object;
}

void HeaderEvents::key_in_tensor(std::string_view name) {
  if (name == "dtype") {
    awaiting_ = Awaiting::dtype;
  } else if (name == "shape") {
    awaiting_ = Awaiting::shape;
  } else if (name == "data_offsets") {
    awaiting_ = Awaiting::offsets;
  } else {
    fail_here(fmt::format("field {} is unknown", quote(name)));
  }
}

void HeaderEvents::start_object() {
  if (place_ == Place::start) {
    place_ = Place::top;
  } else if (awaiting_ == Awaiting::metadata_object) {
    place_ = Place::metadata;
  } else if (awaiting_ == Awaiting::tensor_object) {
    place_ = Place::tensor;
  } else {
    refuse_value("an object");
  }
  awaiting_ = Awaiting::none;
}

void HeaderEvents::end_object() {
  if (place_ == Place::tensor) finish_tensor();
  place_ = place_ == Place::top ? Place::end : Place::top;
}

void HeaderEvents::start_array() {
  if (awaiting_ == Awaiting::shape) {
    place_ = Place::shape;
    has_shape_ = true;
  } else if (awaiting_ == Awaiting::offsets) {
    place_ = Place::offsets;
  } else {
    refuse_value("an array");
  }
  awaiting_ = Awaiting::none;
}

void HeaderEvents::finish_tensor() {
  if (!has_dtype_) fail_here("field 'dtype' is missing");
  if (!has_shape_) fail_here("field 'shape' is missing");
  if (offset_count_ == 0) fail_here("field 'data_offsets' is missing or empty");
  if (offset_count_ != 2) fail_here("data_offsets has 1 element, expected 2");
  if (tensor_.offset > end_) {
    fail_here(fmt::format("data_offsets begin at {} after their end {}", tensor_.offset, end_));
  }
  tensor_.size = end_ - tensor_.offset;
  const auto demanded =
      byte_size(tensor_.dtype, tensor_.shape, fmt::format("{}: {}", subject_, where()));
  if (demanded != tensor_.size) {
    fail_here(fmt::format("shape {} of {} needs {} bytes but data_offsets span {}",
                          to_string(tensor_.shape), to_string(tensor_.dtype), demanded,
                          tensor_.size));
  }
  header_.tensors.push_back(std::move(tensor_));
}

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
  fail(ErrorCode::corrupt, "{}: {} bytes follow the last tensor", subject, data_size - position);
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
    fail(ErrorCode::corrupt, "{}: file is too short: {} bytes, expected at least {}", subject,
         file_size, kLengthBytes + 2);
  }
  const std::uint64_t length = read_length(first_bytes);
  const std::uint64_t limit = std::min(limits.header_bytes, kHeaderCap);
  if (length > limit) {
    refuse_length(first_bytes, subject,
                  fmt::format("header length {} is beyond the limit of {} bytes", length, limit));
  }
  if (length > file_size - kLengthBytes) {
    refuse_length(
        first_bytes, subject,
        fmt::format("header length {} does not fit the file of {} bytes", length, file_size));
  }
  if (length < 2) {
    fail(ErrorCode::corrupt, "{}: header is empty ({} bytes, expected at least 2)", subject,
         length);
  }
  return length;
}

JsonLimits json_limits(const SafetensorsLimits& limits) {
  JsonLimits json;
  json.bytes = std::min(limits.header_bytes, kHeaderCap);
  json.depth = 3;
  json.string_bytes = std::max(limits.metadata_bytes, limits.name_bytes);
  // Per tensor: its name, three keys, two offsets and the dimensions; one more so that a surplus
  // tensor or dimension is reported as such. The rest is metadata.
  json.keys = (limits.tensors + 1) * (limits.rank + 7) + limits.metadata_bytes;
  json.reals = true;  // refused by the events, with the field's name
  return json;
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
  if (name == kMetadataKey) return "is reserved";
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
  HeaderEvents events(shown, limits, header);
  parse_json_events(prefix.substr(kLengthBytes), json_limits(limits), subject, events);
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
