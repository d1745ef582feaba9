// SPDX-License-Identifier: Apache-2.0
// A device that no machine needs to have: tensors of LibTorch's PrivateUse1, whose memory lies on
// the host behind addresses that fault when anybody reads them. So a test finds what a CPU would
// forgive: host code that reads a device's memory, and operations that mix devices. Operations run
// on the CPU, over the same memory.
#include <cstdlib>
#include <cstring>
#include <string>
#include <unordered_map>
#include <vector>

#include <ATen/ATen.h>
#include <ATen/EmptyTensor.h>
#include <ATen/ops/_reshape_alias_native.h>
#include <ATen/ops/as_strided_native.h>
#include <ATen/ops/view_native.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <torch/library.h>

#include "tests/support/test_device.h"

namespace organ::test {
namespace {

constexpr at::DeviceType kPretend = at::DeviceType::PrivateUse1;
// Set in every address of the device: none that a program on x86-64 can read has it.
constexpr std::uintptr_t kMark = std::uintptr_t{1} << 62;

void* readable(const void* address) {
  return reinterpret_cast<void*>(reinterpret_cast<std::uintptr_t>(address) & ~kMark);
}

class Allocator final : public at::Allocator {
 public:
  at::DataPtr allocate(std::size_t bytes) override {
    const at::Device device(kPretend, 0);
    if (bytes == 0) return {nullptr, device};
    void* memory = std::aligned_alloc(64, (bytes + 63) / 64 * 64);
    if (memory == nullptr) throw std::bad_alloc();
    void* address = reinterpret_cast<void*>(reinterpret_cast<std::uintptr_t>(memory) | kMark);
    return {address, address, &release, device};
  }
  at::DeleterFnPtr raw_deleter() const override { return &release; }
  void copy_data(void* to, const void* from, std::size_t bytes) const override {
    std::memcpy(readable(to), readable(from), bytes);
  }

 private:
  static void release(void* address) { std::free(readable(address)); }
};

Allocator& allocator() {
  static Allocator one;
  return one;
}

const at::DispatchKeySet kKeys{at::DispatchKey::PrivateUse1};

at::Tensor make_empty(at::IntArrayRef size, std::optional<at::ScalarType> type,
                      std::optional<at::Layout>, std::optional<at::Device>, std::optional<bool>,
                      std::optional<at::MemoryFormat> format) {
  return at::Tensor(
      at::detail::empty_generic(size, &allocator(), kKeys, type.value_or(at::kFloat), format));
}

at::Tensor make_strided(at::IntArrayRef size, at::IntArrayRef stride,
                        std::optional<at::ScalarType> type, std::optional<at::Layout>,
                        std::optional<at::Device>, std::optional<bool>) {
  return at::Tensor(at::detail::empty_strided_generic(size, stride, &allocator(), kKeys,
                                                      type.value_or(at::kFloat)));
}

bool is_pretend(const at::Tensor& tensor) {
  return tensor.defined() && tensor.device().type() == kPretend;
}

// The same numbers as a tensor of the CPU.
at::Tensor on_host(const at::Tensor& tensor) {
  if (!is_pretend(tensor)) return tensor;
  return at::from_blob(readable(tensor.data_ptr()), tensor.sizes(), tensor.strides(),
                       at::TensorOptions().dtype(tensor.scalar_type()));
}

at::Tensor from_host(const at::Tensor& tensor) {
  at::Tensor moved =
      make_strided(tensor.sizes(), tensor.strides(), tensor.scalar_type(), {}, {}, {});
  on_host(moved).copy_(tensor);
  return moved;
}

at::Tensor copy_from(const at::Tensor& from, const at::Tensor& to, bool) {
  on_host(to).copy_(on_host(from));
  return to;
}

// Between the arguments of one operation and what runs on the CPU in their place.
class Arguments {
 public:
  explicit Arguments(const std::string& operation) : operation_(operation) {}

  c10::IValue on_host(const c10::IValue& value) {
    if (value.isTensor()) return host(value.toTensor());
    if (value.isDevice()) return at::Device(at::kCPU);
    if (value.isTensorList()) {
      std::vector<at::Tensor> list;
      for (const at::Tensor& tensor : value.toTensorVector()) list.push_back(host(tensor));
      return list;
    }
    if (value.isList()) {
      c10::List<c10::IValue> list = value.toList().copy();
      for (std::size_t i = 0; i < list.size(); ++i) list.set(i, on_host(list.get(i)));
      return list;
    }
    return value;
  }

  c10::IValue back(const c10::IValue& value) {
    if (value.isTensor()) return device(value.toTensor());
    if (value.isTensorList()) {
      std::vector<at::Tensor> list;
      for (const at::Tensor& tensor : value.toTensorVector()) list.push_back(device(tensor));
      return list;
    }
    return value;
  }

 private:
  at::Tensor host(const at::Tensor& tensor) {
    if (!is_pretend(tensor)) {
      // LibTorch lets single numbers of the CPU join; anything else is a mistake of ours.
      if (tensor.defined() && tensor.dim() > 0) {
        throw std::runtime_error(operation_ + " got tensors of two devices");
      }
      return tensor;
    }
    // An operation may give an empty result its size.
    at::Tensor alias = tensor.numel() > 0 ? test::on_host(tensor)
                                          : at::empty(tensor.sizes(), tensor.scalar_type());
    originals_.emplace(alias.unsafeGetTensorImpl(), tensor);
    return alias;
  }
  at::Tensor device(const at::Tensor& tensor) {
    if (!tensor.defined()) return tensor;
    const auto found = originals_.find(tensor.unsafeGetTensorImpl());
    if (found == originals_.end()) return from_host(tensor);
    const at::Tensor& original = found->second;
    if (original.sizes() == tensor.sizes()) return original;
    if (original.numel() > 0) throw std::runtime_error(operation_ + " gave a result another size");
    original.unsafeGetTensorImpl()->shallow_copy_from(from_host(tensor).getIntrusivePtr());
    return original;
  }

  std::string operation_;
  std::unordered_map<at::TensorImpl*, at::Tensor> originals_;
};

void run_on_host(const c10::OperatorHandle& operation, torch::jit::Stack* stack) {
  Arguments arguments(operation.schema().name());
  const std::size_t first = stack->size() - operation.schema().arguments().size();
  for (std::size_t i = first; i < stack->size(); ++i) (*stack)[i] = arguments.on_host((*stack)[i]);
  for (const auto& result : operation.schema().returns()) {
    const auto* alias = result.alias_info();
    if (alias != nullptr && !alias->isWrite()) {
      throw std::runtime_error(operation.schema().name() + " makes a view");
    }
  }
  operation.callBoxed(stack);
  for (std::size_t i = first; i < stack->size(); ++i) (*stack)[i] = arguments.back((*stack)[i]);
}

// Nothing is ever under way.
struct Guard final : c10::impl::NoOpDeviceGuardImpl<kPretend> {
  void synchronizeDevice(at::DeviceIndex) const override {}
  c10::Stream getStream(at::Device device) const noexcept override {
    return c10::Stream(c10::Stream::DEFAULT, device);
  }
};

C10_REGISTER_GUARD_IMPL(PrivateUse1, Guard);

// Products of bf16 in fp32, as devices sum them: where a processor has no bf16, LibTorch's own take
// minutes for what is measured of a device.
at::Tensor wide(const at::Tensor& tensor) {
  if (!is_pretend(tensor)) throw std::runtime_error("a product got tensors of two devices");
  const at::Tensor host =
      tensor.numel() > 0 ? test::on_host(tensor) : at::empty(tensor.sizes(), tensor.scalar_type());
  return host.scalar_type() == at::kBFloat16 ? host.to(at::kFloat) : host;
}

at::Tensor multiply(const at::Tensor& a, const at::Tensor& b) {
  return from_host(at::mm(wide(a), wide(b)).to(a.scalar_type()));
}

at::Tensor multiply_batches(const at::Tensor& a, const at::Tensor& b) {
  return from_host(at::bmm(wide(a), wide(b)).to(a.scalar_type()));
}

TORCH_LIBRARY_IMPL(aten, PrivateUse1, m) {
  m.impl("mm", &multiply);
  m.impl("bmm", &multiply_batches);
  m.impl("empty.memory_format", &make_empty);
  m.impl("empty_strided", &make_strided);
  m.impl("_copy_from", &copy_from);
  m.impl("as_strided", &at::native::as_strided_tensorimpl);
  m.impl("view", &at::native::view);
  m.impl("_reshape_alias", &at::native::_reshape_alias);
}

TORCH_LIBRARY_IMPL(_, PrivateUse1, m) {
  m.fallback(torch::CppFunction::makeFromBoxedFunction<&run_on_host>());
}

}  // namespace

at::Device test_device() { return {kPretend, 0}; }

}  // namespace organ::test
