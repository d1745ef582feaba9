// SPDX-License-Identifier: Apache-2.0
#include "tests/train/support/kernel_checks.h"

#include <string>

#include <ATen/CPUGeneratorImpl.h>

#include "tests/support/test_device.h"
#include "tests/train/support/fixture.h"

namespace organ::test {
namespace {

// Of the largest number, and of all together.
void check_near(const at::Tensor& ours, const at::Tensor& theirs, double largest, double whole) {
  CHECK(relative_error(ours, theirs) < largest);
  CHECK((ours - theirs).norm().item<double>() <= whole * theirs.norm().item<double>());
}

}  // namespace

at::Tensor random(at::IntArrayRef shape, at::ScalarType type) {
  static const at::Generator generator = at::detail::createCPUGenerator(7);
  return at::randn(shape, generator).to(type);
}

void compare(const Tensors& inputs, const Kernel& kernel, double limit,
             const Kernel& exact_kernel) {
  Tensors host, device;
  for (const at::Tensor& input : inputs) {
    host.push_back(input.defined() ? input.clone() : input);
    device.push_back(input.defined() ? input.to(test_device(), input.scalar_type(), false, true)
                                     : input);
  }
  const Tensors truth = exact_kernel ? exact_kernel(inputs) : Tensors{};
  const Tensors expected = kernel(host), results = kernel(device);
  REQUIRE(expected.size() == results.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    CAPTURE(i);
    REQUIRE(results[i].defined() == expected[i].defined());
    if (!expected[i].defined()) continue;
    CHECK((results[i].device() == test_device()));
    CHECK((results[i].scalar_type() == expected[i].scalar_type()));
    CHECK((results[i].sizes() == expected[i].sizes()));
    CHECK(results[i].is_contiguous());
    const bool exact = expected[i].scalar_type() != at::kBFloat16;
    const at::Tensor ours = results[i].cpu().to(at::kFloat), theirs = expected[i].to(at::kFloat);
    if (exact && !truth.empty()) {
      check_near(ours.to(at::kDouble), truth[i], limit, limit);
      check_near(theirs.to(at::kDouble), truth[i], limit, limit);
    } else {
      check_near(ours, theirs, exact ? limit : 1.0 / 128, exact ? limit : 1.0 / 256);
    }
  }
}

void in_both(const std::function<void(at::ScalarType)>& action) {
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    const std::string name = c10::toString(type);
    CAPTURE(name);
    action(type);
  }
}

}  // namespace organ::test
