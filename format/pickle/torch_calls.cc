// SPDX-License-Identifier: Apache-2.0
// The globals that files of weights name, and what each builds. The list is closed: whatever else a
// pickle names is refused, with its name.
#include <algorithm>

#include "format/pickle/internal/pickle_machine.h"
#include "format/pickle/internal/torch_types.h"

namespace organ::format::internal {
namespace {

enum class Call { ordered_dict, tensor_v2, tensor_v3, parameter, size, device, storage, type, bad };

// `dtype`: of the elements of a storage (none: bytes), or the type itself.
struct Global {
  std::string_view module, name;
  Call call;
  std::optional<DType> dtype = {};
};

constexpr Global kCalls[] = {
    {"collections", "OrderedDict", Call::ordered_dict},
    {"torch._utils", "_rebuild_tensor_v2", Call::tensor_v2},
    {"torch._utils", "_rebuild_tensor_v3", Call::tensor_v3},
    {"torch._utils", "_rebuild_parameter", Call::parameter},
    {"torch._utils", "_rebuild_parameter_with_state", Call::parameter},
    {"torch", "Size", Call::size},
    {"torch", "device", Call::device},
    {"torch", "UntypedStorage", Call::storage},
    {"torch.storage", "UntypedStorage", Call::storage},
    // Sound, but there are no such tensors in a safetensors file, so none in an organ.
    {"torch", "ComplexDoubleStorage", Call::bad},
    {"torch", "QInt8Storage", Call::bad},
    {"torch", "QInt32Storage", Call::bad},
    {"torch", "QUInt8Storage", Call::bad},
    {"torch", "QUInt4x2Storage", Call::bad},
    {"torch", "QUInt2x4Storage", Call::bad},
    {"torch", "complex128", Call::bad},
    {"torch", "float4_e2m1fn_x2", Call::bad},
};

const std::vector<Global>& globals() {
  static const std::vector<Global> all = [] {
    std::vector<Global> list(std::begin(kCalls), std::end(kCalls));
    for (const TorchType& one : kTorchTypes) {
      list.push_back({"torch", one.type, Call::type, one.dtype});
      if (!one.storage.empty()) list.push_back({"torch", one.storage, Call::storage, one.dtype});
    }
    return list;
  }();
  return all;
}

const Global& global(const Value& value) {
  return globals()[static_cast<std::size_t>(value.number)];
}

}  // namespace

void PickleMachine::push_global(std::string_view module, std::string_view name) {
  const std::vector<Global>& known = globals();
  const auto found = std::find_if(known.begin(), known.end(), [&](const Global& one) {
    return one.module == module && one.name == name;
  });
  const std::string shown = quote(fmt::format("{}.{}", module, name));
  if (found == known.end()) {
    throw_at(ErrorCode::corrupt,
             fmt::format("names {}, which weights do not need; nothing was run", shown),
             "a file of weights is written by torch.save(model.state_dict(), FILE)");
  }
  if (found->call == Call::bad) {
    throw_at(ErrorCode::incompatible, fmt::format("holds elements of {}", shown),
             "an organ holds the element types of safetensors");
  }
  push({Kind::global, found - known.begin()});
}

// ("storage", type, key, device, elements) and, in files of before torch 1.6's layout, a view of
// another storage, which torch 1.6 and later leave None. The device is where it was, not where it
// goes.
void PickleMachine::push_storage() {
  const Value id = pop();
  require(id, Kind::tuple, "a persistent id");
  const std::vector<Value>& parts = out_.items(id);
  if (parts.size() < 5 || parts.size() > 6) refuse("a persistent id of {} parts", parts.size());
  if (text_of(parts[0], "the kind of a persistent id") != "storage") {
    refuse("a persistent id of the kind {}, expected 'storage'", quote(out_.text(parts[0])));
  }
  require(parts[1], Kind::global, "the type of a storage");
  if (global(parts[1]).call != Call::storage) {
    refuse("the type of a storage is {}", quote(global(parts[1]).name));
  }
  if (parts.size() == 6) require(parts[5], Kind::none, "the view of a storage");
  text_of(parts[3], "the device of a storage");
  const std::string_view key = text_of(parts[2], "the key of a storage");
  if (key.size() > limits_.name_bytes) {
    refuse("the key of a storage has {} bytes, the limit is {}", key.size(), limits_.name_bytes);
  }
  if (out_.storages.size() >= limits_.texts) refuse("more than {} storages", limits_.texts);
  out_.storages.push_back(
      {key, global(parts[1]).dtype, count_of(parts[4], "the size of a storage")});
  push({Kind::storage, static_cast<std::int64_t>(out_.storages.size() - 1)});
}

void PickleMachine::reduce() {
  const Value arguments = pop(), callable = pop();
  require(arguments, Kind::tuple, "the arguments of a call");
  require(callable, Kind::global, "what is called");
  const std::vector<Value> items = out_.items(arguments);
  const Global& called = global(callable);
  const auto takes = [&](std::size_t least, std::size_t most) {
    if (items.size() < least || items.size() > most) {
      refuse("{} is given {} arguments", quote(called.name), items.size());
    }
  };
  switch (called.call) {
    case Call::ordered_dict: takes(0, 0); return push_container(Kind::dict, stack_.size());
    case Call::size:
      takes(1, 1);
      require(items[0], Kind::tuple, "a size");
      return push(items[0]);
    case Call::device: takes(1, 2); return push({Kind::other, 0});
    case Call::parameter: takes(3, 4); return rebuild_parameter(items);
    case Call::tensor_v2: takes(6, 7); return rebuild_tensor(items, false);
    case Call::tensor_v3: takes(7, 8); return rebuild_tensor(items, true);
    case Call::storage:
    case Call::type:
    case Call::bad: break;
  }
  refuse("calls {}, which is no function", quote(called.name));
}

// Attributes of an OrderedDict (a state dict's _metadata): nothing that is read.
void PickleMachine::build() {
  const Value state = pop();
  require(state, Kind::dict, "the attributes of an object");
  require(top(), Kind::dict, "what is given attributes");
}

// (data, requires_grad, hooks[, attributes])
void PickleMachine::rebuild_parameter(const std::vector<Value>& arguments) {
  require(arguments[0], Kind::tensor, "the data of a parameter");
  require_plain(arguments[2], {});
  if (arguments.size() > 3) require_notes(arguments[3]);
  push(arguments[0]);
}

// torch sets each attribute of a parameter: `data`, `real` and `imag` would be other numbers. Plain
// values under other names are what libraries note there.
void PickleMachine::require_notes(const Value& attributes) const {
  if (attributes.kind == Kind::none) return;
  require(attributes, Kind::dict, "the attributes of a parameter");
  const std::vector<Value>& items = out_.items(attributes);
  for (std::size_t i = 0; i < items.size(); i += 2) {
    const std::string_view name = text_of(items[i], "the name of an attribute of a parameter");
    const bool is_part = name == "data" || name == "real" || name == "imag" || name == "grad" ||
                         name.starts_with("__");
    if (is_part) refuse("a parameter is given {} beside its numbers", quote(name));
    const Kind kind = items[i + 1].kind;
    if (kind != Kind::none && kind != Kind::boolean && kind != Kind::integer &&
        kind != Kind::real && kind != Kind::text) {
      refuse("an attribute of a parameter is {}", to_string(kind));
    }
  }
}

// torch never writes hooks; conjugated or negated views would hold other numbers than their bytes.
void PickleMachine::require_plain(const Value& hooks, const Value& metadata) const {
  if (hooks.kind != Kind::none) {
    require(hooks, Kind::dict, "the hooks of a tensor");
    if (!out_.items(hooks).empty()) refuse("a tensor has hooks");
  }
  if (metadata.kind == Kind::none) return;
  require(metadata, Kind::dict, "what is said of a tensor");
  if (out_.items(metadata).empty()) return;
  throw_at(ErrorCode::incompatible, "a tensor is stored as a view that is conjugated or negated",
           "store tensor.resolve_conj().resolve_neg()");
}

Shape PickleMachine::shape_of(const Value& value, std::string_view what) const {
  require(value, Kind::tuple, what);
  const std::vector<Value>& items = out_.items(value);
  if (items.size() > limits_.rank) {
    refuse("{} has {} dimensions, the limit is {}", what, items.size(), limits_.rank);
  }
  Shape shape;
  for (const Value& item : items) shape.push_back(count_of(item, what));
  return shape;
}

// (storage, offset, size, stride, requires_grad, hooks[, type][, metadata])
void PickleMachine::rebuild_tensor(const std::vector<Value>& arguments, bool with_type) {
  if (out_.tensors.size() >= limits_.tensors) refuse("more than {} tensors", limits_.tensors);
  require(arguments[0], Kind::storage, "what a tensor looks at");
  TensorRef tensor;
  tensor.storage = static_cast<std::size_t>(arguments[0].number);
  const StorageRef& storage = out_.storages[tensor.storage];
  tensor.offset = count_of(arguments[1], "the offset of a tensor");
  tensor.shape = shape_of(arguments[2], "the shape of a tensor");
  tensor.strides = shape_of(arguments[3], "the strides of a tensor");
  if (tensor.shape.size() != tensor.strides.size()) {
    refuse("a tensor has {} dimensions and {} strides", tensor.shape.size(), tensor.strides.size());
  }
  std::size_t next = 6;
  if (with_type) {
    require(arguments[next], Kind::global, "the type of a tensor");
    if (global(arguments[next]).call != Call::type) {
      refuse("the type of a tensor is {}", quote(global(arguments[next]).name));
    }
    tensor.type = *global(arguments[next++]).dtype;
  } else {
    if (!storage.type) refuse("a tensor has no element type");
    tensor.type = *storage.type;
  }
  require_plain(arguments[5], next < arguments.size() ? arguments[next] : Value());
  check_extent(tensor);
  push({Kind::tensor, static_cast<std::int64_t>(out_.tensors.size())});
  out_.tensors.push_back(std::move(tensor));
}

void PickleMachine::check_extent(const TensorRef& tensor) const {
  const std::string subject =
      fmt::format("{}: byte {}: size of a tensor", quote(subject_), opcode_);
  byte_size(tensor.type, tensor.shape, subject);  // an overflow is an error, whatever is read
  if (std::find(tensor.shape.begin(), tensor.shape.end(), 0) != tensor.shape.end()) return;
  std::uint64_t last = tensor.offset;
  for (std::size_t i = 0; i < tensor.shape.size(); ++i) {
    last = checked_add(last, checked_mul(tensor.shape[i] - 1, tensor.strides[i], subject), subject);
  }
  const StorageRef& storage = out_.storages[tensor.storage];
  const std::uint64_t end =
      checked_mul(checked_add(last, 1, subject), bit_width(tensor.type) / 8, subject);
  const std::uint64_t bytes = checked_mul(storage.elements, storage.element_bytes(), subject);
  if (end > bytes) {
    refuse("a tensor {} ends at byte {} of storage {}, which has {}",
           format::to_string(tensor.shape), end, quote(storage.key), bytes);
  }
}

}  // namespace organ::format::internal
