// SPDX-License-Identifier: Apache-2.0
#include "format/pickle/torch_writer.h"

#include <algorithm>
#include <cstdint>
#include <set>
#include <string>

#include "format/base/fail.h"
#include "format/pickle/internal/pickle_values.h"
#include "format/pickle/internal/torch_types.h"
#include "format/pickle/internal/zip_format.h"
#include "format/pickle/internal/zip_writer.h"

namespace organ::format {
namespace {

using internal::RecordWriter;
using internal::TorchType;

constexpr std::string_view kRoot = "organ/";
constexpr std::string_view kEmptyDict = "ccollections\nOrderedDict\n)R";

const TorchType& torch_type(const TensorInfo& tensor) {
  const auto found =
      std::find_if(std::begin(internal::kTorchTypes), std::end(internal::kTorchTypes),
                   [&](const TorchType& one) { return one.dtype == tensor.dtype; });
  if (found == std::end(internal::kTorchTypes)) {
    fail(ErrorCode::incompatible, "tensor {}: torch has no elements of {}", quote(tensor.name),
         to_string(tensor.dtype));
  }
  return *found;
}

// The opcodes of protocol 2.
class PickleWriter {
 public:
  PickleWriter& raw(std::string_view opcodes) {
    out_.text(opcodes);
    return *this;
  }
  PickleWriter& text(std::string_view text) {
    out_.text("X").number(text.size(), 4).text(text);
    return *this;
  }
  PickleWriter& number(std::uint64_t number) {
    constexpr std::uint64_t kSigned = std::uint64_t{1} << 31;
    if (number <= 0xFF) {
      out_.text("K").number(number, 1);
    } else if (number < kSigned) {
      out_.text("J").number(number, 4);
    } else {
      out_.text("\x8a").number(8, 1).number(number, 8);  // its sign is the last bit
    }
    return *this;
  }
  PickleWriter& numbers(const Shape& numbers) {
    raw("(");
    for (const std::uint64_t one : numbers) number(one);
    return raw("t");
  }
  PickleWriter& torch_name(std::string_view name) { return raw("ctorch\n").raw(name).raw("\n"); }
  std::string finish() { return raw(".").out_.bytes(); }

 private:
  RecordWriter out_;
};

// Each product is one that torch can count.
Shape strides_of(const TensorInfo& tensor) {
  constexpr std::uint64_t kMost = INT64_MAX;
  const Shape& shape = tensor.shape;
  Shape strides(shape.size());
  std::uint64_t step = 1;
  for (std::size_t i = shape.size(); i-- > 0;) {
    strides[i] = step;
    if (shape[i] > kMost / step) {
      fail(ErrorCode::incompatible, "tensor {}: torch cannot count the elements of {}",
           quote(tensor.name), format::to_string(shape));
    }
    step *= std::max<std::uint64_t>(shape[i], 1);
  }
  return strides;
}

// What torch's own writer says of a tensor, under the key of its storage.
void add_tensor(PickleWriter& pickle, const TensorInfo& tensor, std::size_t key) {
  const TorchType& type = torch_type(tensor);
  const bool typed = !type.storage.empty();
  pickle.text(tensor.name);
  pickle.raw("ctorch._utils\n").raw(typed ? "_rebuild_tensor_v2\n" : "_rebuild_tensor_v3\n");
  pickle.raw("((").text("storage");
  if (typed) {
    pickle.torch_name(type.storage);
  } else {
    pickle.raw("ctorch.storage\nUntypedStorage\n");
  }
  pickle.text(std::to_string(key)).text("cpu");
  pickle.number(typed ? tensor.size * 8 / bit_width(tensor.dtype) : tensor.size).raw("tQ");
  pickle.number(0).numbers(tensor.shape).numbers(strides_of(tensor));
  pickle.raw("\x89").raw(kEmptyDict);  // no gradient, no hooks
  if (!typed) pickle.torch_name(type.type);
  pickle.raw("tR");
}

// What TorchFile reads again.
void require_readable(const TensorInfo& tensor) {
  const internal::PickleLimits limits;
  if (const auto flaw = tensor_name_flaw(tensor.name, limits.name_bytes)) {
    fail(ErrorCode::incompatible, "tensor {}: {}", quote(tensor.name), *flaw);
  }
  if (tensor.shape.size() > limits.rank) {
    fail(ErrorCode::incompatible, "tensor {}: has {} dimensions, the limit is {}",
         quote(tensor.name), tensor.shape.size(), limits.rank);
  }
}

std::string pickle_of(const std::vector<TensorSource>& tensors) {
  const internal::PickleLimits limits;
  if (tensors.size() > limits.tensors) {
    fail(ErrorCode::incompatible, "{} tensors, the limit of one file is {}", tensors.size(),
         limits.tensors);
  }
  std::set<std::string_view> names;
  PickleWriter pickle;
  pickle.raw("\x80\x02").raw(kEmptyDict).raw("(");
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const TensorInfo& tensor = tensors[i].info;
    require_readable(tensor);
    if (!names.insert(tensor.name).second) {
      fail(ErrorCode::invalid_argument, "tensor {}: is given twice", quote(tensor.name));
    }
    add_tensor(pickle, tensor, i);
    const auto subject = fmt::format("tensor {}", quote(tensor.name));
    const std::uint64_t demanded = byte_size(tensor.dtype, tensor.shape, subject);
    if (tensor.size != demanded) {
      fail(ErrorCode::invalid_argument, "{}: shape {} of {} needs {} but {} are given", subject,
           format::to_string(tensor.shape), to_string(tensor.dtype), counted(demanded, "byte"),
           tensor.size);
    }
  }
  std::string text = pickle.raw("u").finish();
  if (text.size() > limits.bytes) {
    fail(ErrorCode::incompatible, "data.pkl would have {} bytes, the limit is {}", text.size(),
         limits.bytes);
  }
  return text;
}

}  // namespace

void write_torch_file(int fd, const std::vector<TensorSource>& tensors, std::string_view subject,
                      const Work& work) {
  const std::string pickle = pickle_of(tensors);
  internal::ZipWriter zip(fd, subject);
  const std::string root(kRoot);
  zip.add(root + "data.pkl", pickle);
  zip.add(root + ".format_version", "1");
  zip.add(root + ".storage_alignment", "64");
  zip.add(root + "byteorder", "little");
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    zip.add(root + "data/" + std::to_string(i), tensors[i].info.size, tensors[i].read, work);
  }
  zip.add(root + "version", "3\n");
  zip.finish();
}

}  // namespace organ::format
