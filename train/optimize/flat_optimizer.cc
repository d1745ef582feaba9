// SPDX-License-Identifier: Apache-2.0
#include "train/optimize/flat_optimizer.h"

#include <algorithm>
#include <cmath>

#include <ATen/ATen.h>

#include "train/kernels/dispatch.h"

namespace organ::train {
namespace {

// Numbers worked on at once where that takes memory of its own.
constexpr std::int64_t kPiece = std::int64_t{1} << 24;

}  // namespace

FlatParameters flat_view(const FlatTensors& t) {
  FlatParameters view{host_floats(t.master),
                      host_floats(t.first_moment),
                      host_floats(t.second_moment),
                      host_floats(t.gradient),
                      {}};
  if (t.working.scalar_type() == at::kBFloat16) {
    view.working = {reinterpret_cast<std::uint16_t*>(t.working.data_ptr()),
                    static_cast<std::size_t>(t.working.numel())};
  }
  return view;
}

double global_norm(const at::Tensor& values, unsigned threads) {
  return values.is_cpu() ? global_norm(host_floats(values), threads)
                         : composed::global_norm(values);
}

void round_working(const FlatTensors& parameters, std::uint64_t update) {
  if (!parameters.master.is_cpu()) return composed::round_working(parameters, update);
  round_working(flat_view(parameters), update);
}

void adamw_step(const FlatTensors& parameters, std::span<const ParameterRun> runs,
                const AdamWOptions& options, double rate, std::uint64_t update,
                double gradient_scale, unsigned threads) {
  if (!parameters.master.is_cpu()) {
    return composed::adamw_step(parameters, runs, options, rate, update, gradient_scale);
  }
  adamw_step(flat_view(parameters), runs, options, rate, update, gradient_scale, threads);
}

void average_step(const at::Tensor& average, const at::Tensor& values, double decay,
                  unsigned threads) {
  if (average.is_cpu()) {
    return average_step(host_floats(average), host_floats(values), decay, threads);
  }
  for (std::int64_t first = 0; first < average.numel(); first += kPiece) {
    const std::int64_t count = std::min(kPiece, average.numel() - first);
    const at::Tensor old = average.narrow(0, first, count), now = values.narrow(0, first, count);
    old.copy_(at::where(old.eq(now), old, old.lerp(now, 1 - decay)));
  }
}

namespace composed {
namespace {

constexpr std::int64_t kWord = 0xffffffff;

// optimizer.cc's mix() of 32-bit numbers held in 64 bits: no product of it has more than 63.
at::Tensor mix(at::Tensor x) {
  x = x.bitwise_xor(x.bitwise_right_shift(16)).mul_(0x21f0aaad).bitwise_and_(kWord);
  x = x.bitwise_xor(x.bitwise_right_shift(15)).mul_(0x735a2d97).bitwise_and_(kWord);
  return x.bitwise_xor(x.bitwise_right_shift(15));
}

// optimizer.cc's to_bf16, as 16 bits.
at::Tensor rounded(const at::Tensor& values, const at::Tensor& dice) {
  const at::Tensor bits = values.view(at::kInt).to(at::kLong).bitwise_and_(kWord);
  const at::Tensor nearest = (bits + dice.bitwise_and(0xffff)).bitwise_right_shift_(16);
  const at::Tensor broken = bits.bitwise_and(0xffff).ne(0).to(at::kLong).mul_(0x40);
  const at::Tensor kept = bits.bitwise_right_shift(16).bitwise_or_(broken);
  const at::Tensor finite = bits.bitwise_and(0x7f800000).ne(0x7f800000);
  return at::where(finite, nearest, kept).to(at::kShort);
}

// The moments have followed the gradient, which serves as scratch.
void move_masters(const FlatTensors& p, std::span<const ParameterRun> runs,
                  const AdamWOptions& options, double rate, double t) {
  for (const ParameterRun& run : runs) {
    if (!run.decay) continue;
    p.master
        .narrow(0, static_cast<std::int64_t>(run.offset), static_cast<std::int64_t>(run.elements))
        .mul_(1 - rate * options.weight_decay);
  }
  at::Tensor root = p.gradient;  // it is zeroed anyway
  at::sqrt_out(root, p.second_moment);
  root.div_(std::sqrt(1 - std::pow(options.beta2, t))).add_(options.epsilon);
  p.master.addcdiv_(p.first_moment, root, -rate / (1 - std::pow(options.beta1, t)));
}

}  // namespace

double global_norm(const at::Tensor& values) {
  return at::linalg_vector_norm(values, 2, {}, /*keepdim=*/false, at::kDouble).item<double>();
}

void round_working(const FlatTensors& p, std::uint64_t update) {
  if (p.working.scalar_type() != at::kBFloat16) return;
  const auto whole = p.master.options().dtype(at::kLong);
  const at::Tensor salt = mix(at::full({1}, static_cast<std::int64_t>(update & kWord), whole));
  for (std::int64_t first = 0; first < p.master.numel(); first += kPiece) {
    const std::int64_t count = std::min(kPiece, p.master.numel() - first);
    const at::Tensor index = at::arange(first, first + count, whole).bitwise_and_(kWord);
    const at::Tensor dice = mix(index.bitwise_xor_(salt));
    p.working.view(at::kShort)
        .narrow(0, first, count)
        .copy_(rounded(p.master.narrow(0, first, count), dice));
  }
}

// Not at::_fused_adamw_: its CUDA kernel takes 1 - beta2 of a beta2 rounded to fp32, and with it
// moments that are 1.3e-5 too small. Here the scalars are rounded once, as optimizer.cc rounds
// them. All of a device's operations run over the whole buffers, but for the decay.
void adamw_step(const FlatTensors& p, std::span<const ParameterRun> runs,
                const AdamWOptions& options, double rate, std::uint64_t update,
                double gradient_scale) {
  const auto t = static_cast<double>(update);
  p.gradient.mul_(gradient_scale);
  p.first_moment.mul_(options.beta1).add_(p.gradient, 1 - options.beta1);
  p.second_moment.mul_(options.beta2).addcmul_(p.gradient, p.gradient, 1 - options.beta2);
  // A step of 0 would take the sign from zeros.
  if (rate > 0) move_masters(p, runs, options, rate, t);
  p.gradient.zero_();
  composed::round_working(p, update);
}

}  // namespace composed
}  // namespace organ::train
