// SPDX-License-Identifier: Apache-2.0
#include "train/kernels/product.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <doctest/doctest.h>

namespace organ::test {
namespace {

// bf16 keeps 8 bits: half of the last one is a 2^-8th of a number at most. The sums' own rounding,
// in fp32, is as good as nothing beside it.
constexpr double kHalfBit = 1.0 / 256 * 1.001;

at::Tensor random(at::IntArrayRef sizes, std::uint64_t seed) {
  return at::randn(sizes, at::detail::createCPUGenerator(seed)).to(at::kBFloat16);
}

// Whether each number is the exact one, rounded once.
void check_rounded_once(const at::Tensor& found, const at::Tensor& exact) {
  const bool is_bf16 = found.scalar_type() == at::kBFloat16;
  REQUIRE(is_bf16);
  REQUIRE(found.sizes().equals(exact.sizes()));
  if (exact.numel() == 0) return;
  const at::Tensor error = (found.to(at::kDouble) - exact).abs();
  // Where terms nearly cancel the fp32 sum's rounding is seen: 1e-5 of terms near one.
  CHECK((error - exact.abs() * kHalfBit).max().item<double>() < 1e-5);
}

}  // namespace

TEST_CASE("a product of bf16 is summed in fp32 and rounded once, whatever the processor has") {
  for (const std::int64_t rows : {0, 1, 3, 64, 300}) {
    for (const bool transposed : {false, true}) {
      const at::Tensor a = random({rows, 96}, 1);
      const at::Tensor b = transposed ? random({40, 96}, 2).t() : random({96, 40}, 2);
      const at::Tensor bias = random({40}, 3);
      const at::Tensor exact = a.to(at::kDouble).mm(b.to(at::kDouble));
      check_rounded_once(train::kernels::product(a, b), exact);
      check_rounded_once(train::kernels::product(a, b, bias), exact + bias.to(at::kDouble));
    }
  }
}

TEST_CASE("so is each product of a batch") {
  const at::Tensor a = random({3, 17, 32}, 4), b = random({3, 20, 32}, 5).transpose(1, 2);
  check_rounded_once(train::kernels::batched_product(a, b),
                     a.to(at::kDouble).bmm(b.to(at::kDouble)));
}

}  // namespace organ::test
