// SPDX-License-Identifier: Apache-2.0
#include "train/kernels/product.h"

#include <atomic>
#include <optional>
#include <string_view>

#include <ATen/Context.h>
#include <ATen/core/List.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/mm.h>

namespace organ::train::kernels {
namespace {

std::atomic<std::uint64_t> flops_done{0};

using Scalars = c10::List<std::optional<at::Scalar>>;
using LinearPointwise = at::Tensor(const at::Tensor& x, const at::Tensor& weight,
                                   const std::optional<at::Tensor>& bias,
                                   std::string_view activation, Scalars scalars,
                                   std::optional<std::string_view> algorithm);

// LibTorch's door to oneDNN in fp32: x weight^T + bias with the activation left out.
at::Tensor onednn_linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  static const auto op = c10::Dispatcher::singleton()
                             .findSchemaOrThrow("mkldnn::_linear_pointwise", "")
                             .typed<LinearPointwise>();
  const auto given = bias.defined() ? std::optional<at::Tensor>(bias) : std::nullopt;
  return op.call(x, weight, given, "none", Scalars(), "");
}

}  // namespace

std::uint64_t product_flops() { return flops_done.load(std::memory_order_relaxed); }

at::Tensor product(const at::Tensor& a, const at::Tensor& b, const at::Tensor& bias) {
  flops_done.fetch_add(2 * static_cast<std::uint64_t>(a.numel() * b.size(1)),
                       std::memory_order_relaxed);
  static const bool onednn = at::globalContext().hasMKLDNN();
  // oneDNN refuses an empty operand.
  const bool empty = a.numel() == 0 || b.numel() == 0;
  if (onednn && !empty && a.is_cpu() && a.scalar_type() == at::kFloat) {
    return onednn_linear(a, b.t(), bias);
  }
  return bias.defined() ? at::addmm(bias, a, b) : at::mm(a, b);
}

at::Tensor batched_product(const at::Tensor& a, const at::Tensor& b) {
  flops_done.fetch_add(2 * static_cast<std::uint64_t>(a.numel() * b.size(2)),
                       std::memory_order_relaxed);
  return at::bmm(a, b);
}

}  // namespace organ::train::kernels
