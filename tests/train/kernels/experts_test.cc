// SPDX-License-Identifier: Apache-2.0
#include "tests/train/support/doctest.h"

#include <cmath>

#include <ATen/ATen.h>

#include "train/kernels/experts.h"

namespace organ::test {

using namespace train::kernels;

TEST_CASE("tokens go to their largest logits, of equal ones to the first, grouped by expert") {
  const at::Tensor logits =
      at::tensor({1.0f, 1.0f, 1.0f, 0.0f, 3.0f, 2.0f, -1.0f, -1.0f, 5.0f}).view({3, 3});
  const Routing routing = route(logits, 2);
  CHECK(routing.first == std::vector<std::int64_t>{0, 2, 4, 6});
  CHECK(routing.token == std::vector<std::int32_t>{0, 2, 0, 1, 1, 2});
  const double e = std::exp(1.0), e6 = std::exp(6.0);
  const std::vector<double> expected = {0.5,         1 / (1 + e6), 0.5,
                                        e / (1 + e), 1 / (1 + e),  e6 / (1 + e6)};
  for (std::size_t i = 0; i < expected.size(); ++i) {
    CHECK(routing.weight[i] == doctest::Approx(expected[i]));
  }
}

TEST_CASE("all experts may be asked, and some may get no token") {
  const at::Tensor logits = at::tensor({9.0f, 0.0f, 1.0f, 8.0f, 0.0f, 1.0f}).view({2, 3});
  const Routing one = route(logits, 1);
  CHECK(one.first == std::vector<std::int64_t>{0, 2, 2, 2});
  CHECK(one.weight == std::vector<float>{1.0f, 1.0f});
  CHECK(route(logits, 3).token == std::vector<std::int32_t>{0, 1, 0, 1, 0, 1});
}

TEST_CASE("the gradient of the router's logits is that of the softmax over the chosen ones") {
  const at::Tensor logits = at::tensor({0.3f, -0.2f, 0.9f, 0.1f}).view({1, 4});
  const std::vector<float> dweight = {1.7f, -0.4f};  // of experts 0 and 2
  const at::Tensor gradient = route_backward(route(logits, 2), dweight, at::kFloat);
  const auto value = [&](double first, double second) {
    const double a = std::exp(first), b = std::exp(second);
    return (1.7 * a - 0.4 * b) / (a + b);
  };
  const double h = 1e-6;
  const double slope = (value(0.3 + h, 0.9) - value(0.3 - h, 0.9)) / (2 * h);
  CHECK(gradient[0][0].item<float>() == doctest::Approx(slope).epsilon(1e-4));
  CHECK(gradient[0][2].item<float>() == doctest::Approx(-slope).epsilon(1e-4));
  CHECK(gradient[0][1].item<float>() == 0.0f);
  CHECK(gradient[0][3].item<float>() == 0.0f);
}

}  // namespace organ::test
