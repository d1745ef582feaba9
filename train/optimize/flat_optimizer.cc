// SPDX-License-Identifier: Apache-2.0
#include "train/optimize/flat_optimizer.h"

#include <algorithm>
#include <vector>

#include <ATen/ATen.h>

#include "train/kernels/dispatch.h"

namespace organ::train {

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

double global_norm(const at::Tensor& values) {
  return values.is_cpu() ? global_norm(host_floats(values)) : composed::global_norm(values);
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
    average_step(host_floats(average), host_floats(values), decay, threads);
  } else {
    average.lerp_(values, 1 - decay);
  }
}

namespace composed {
namespace {

// Numbers rounded at once: their 64-bit dice must not fill the memory.
constexpr std::int64_t kPiece = std::int64_t{1} << 24;
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

void adamw_step(const FlatTensors& p, std::span<const ParameterRun> runs,
                const AdamWOptions& options, double rate, std::uint64_t update,
                double gradient_scale) {
  p.gradient.mul_(gradient_scale);
  const at::Tensor steps =
      at::full({}, static_cast<double>(update), p.master.options().dtype(at::kFloat));
  for (const bool decay : {true, false}) {
    std::vector<at::Tensor> masters, gradients, firsts, seconds;
    for (const ParameterRun& run : runs) {
      if (run.decay != decay) continue;
      const auto of = [&](const at::Tensor& flat) {
        return flat.narrow(0, static_cast<std::int64_t>(run.offset),
                           static_cast<std::int64_t>(run.elements));
      };
      masters.push_back(of(p.master));
      gradients.push_back(of(p.gradient));
      firsts.push_back(of(p.first_moment));
      seconds.push_back(of(p.second_moment));
    }
    if (masters.empty()) continue;
    at::_fused_adamw_(masters, gradients, firsts, seconds, {},
                      std::vector<at::Tensor>(masters.size(), steps), rate, options.beta1,
                      options.beta2, decay ? options.weight_decay : 0.0, options.epsilon,
                      /*amsgrad=*/false, /*maximize=*/false);
  }
  p.gradient.zero_();
  composed::round_working(p, update);
}

}  // namespace composed
}  // namespace organ::train
