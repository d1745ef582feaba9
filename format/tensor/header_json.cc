// SPDX-License-Identifier: Apache-2.0
#include "format/tensor/internal/header_json.h"

#include <algorithm>

#include "format/base/fail.h"
#include "format/base/json.h"

namespace organ::format::internal {
namespace {

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
    fail_here(fmt::format("shape {} of {} needs {} but data_offsets span {}",
                          to_string(tensor_.shape), to_string(tensor_.dtype),
                          counted(demanded, "byte"), tensor_.size));
  }
  header_.tensors.push_back(std::move(tensor_));
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

void parse_header_json(std::string_view text, const SafetensorsLimits& limits,
                       std::string_view subject, SafetensorsHeader& header) {
  const std::string shown = quote(subject);
  HeaderEvents events(shown, limits, header);
  parse_json_events(text, json_limits(limits), subject, events);
}

}  // namespace organ::format::internal
