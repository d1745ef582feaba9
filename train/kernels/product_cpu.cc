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

// Whether oneDNN multiplies bf16 here: it wants AVX-512. LibTorch's own loops, which are left else,
// are hundreds of times slower than fp32 (measured on two AVX2 cores: 0.2 GFLOP/s and 140).
bool onednn_has_bf16() {
  static const bool has = [] {
    const auto op =
        c10::Dispatcher::singleton().findSchema({"mkldnn::_is_mkldnn_bf16_supported", ""});
    return op && op->typed<bool()>().call();
  }();
  return has;
}

// To be computed in fp32 and rounded once, which is what products of bf16 are anyway.
bool is_for_fp32(const at::Tensor& a) {
  return a.is_cpu() && a.scalar_type() == at::kBFloat16 && !onednn_has_bf16();
}

at::Tensor multiply(const at::Tensor& a, const at::Tensor& b, const at::Tensor& bias) {
  static const bool onednn = at::globalContext().hasMKLDNN();
  // oneDNN refuses an empty operand.
  const bool empty = a.numel() == 0 || b.numel() == 0;
  if (onednn && !empty && a.is_cpu() && a.scalar_type() == at::kFloat) {
    return onednn_linear(a, b.t(), bias);
  }
  return bias.defined() ? at::addmm(bias, a, b) : at::mm(a, b);
}

}  // namespace

std::uint64_t product_flops() { return flops_done.load(std::memory_order_relaxed); }

at::Tensor product(const at::Tensor& a, const at::Tensor& b, const at::Tensor& bias) {
  flops_done.fetch_add(2 * static_cast<std::uint64_t>(a.numel() * b.size(1)),
                       std::memory_order_relaxed);
  if (!is_for_fp32(a)) return multiply(a, b, bias);
  const at::Tensor wide = bias.defined() ? bias.to(at::kFloat) : bias;
  return multiply(a.to(at::kFloat), b.to(at::kFloat), wide).to(at::kBFloat16);
}

at::Tensor batched_product(const at::Tensor& a, const at::Tensor& b) {
  flops_done.fetch_add(2 * static_cast<std::uint64_t>(a.numel() * b.size(2)),
                       std::memory_order_relaxed);
  if (!is_for_fp32(a)) return at::bmm(a, b);
  return at::bmm(a.to(at::kFloat), b.to(at::kFloat)).to(at::kBFloat16);
}

}  // namespace organ::train::kernels
