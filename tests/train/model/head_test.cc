// SPDX-License-Identifier: Apache-2.0
#include "tests/train/support/doctest.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include "tests/train/support/fixture.h"
#include "train/model/internal/head.h"

namespace organ::test {
namespace {

using namespace train;

// More ids than the head looks at in one go, and rows for more than one chunk.
constexpr std::int64_t kRows = 37, kChunk = 16, kSize = 24, kVocabulary = 9001;
constexpr double kEpsilon = 1e-5;

struct Problem {
  Problem() {
    at::manual_seed(5);
    x = at::randn({kRows, kSize});
    gamma = at::rand({kSize}).add_(0.5);
    projection = at::randn({kVocabulary, kSize}).mul_(0.3);  // logits that bf16 holds well
    bias = at::randn({kVocabulary});
    targets = at::randint(0, kVocabulary, {kRows}, at::kLong);
    targets[0] = 0;
    targets[1] = kVocabulary - 1;
    targets[2] = 4095;
    targets[3] = 4096;
    targets[7] = -1;
    // One token whose probability is nearly one.
    projection[kVocabulary - 1] = 0.5 * x[1] / gamma;
  }

  Head head(at::ScalarType type) const {
    return {Normalization(NormKind::rms, kEpsilon, {gamma, {}}, {}), projection.to(type), kChunk,
            bias.to(type)};
  }

  at::Tensor x, gamma, projection, bias, targets;
};

// The definition in fp64 by autograd, of the weights as `type` holds them.
struct Definition {
  Definition(const Problem& p, at::ScalarType type) {
    const auto held = [&](const at::Tensor& t) { return t.to(type).to(at::kDouble); };
    const c10::AutoGradMode enabled(true);
    at::Tensor x = p.x.to(at::kDouble).requires_grad_(true);
    const at::Tensor rms = (x.square().mean(1, true) + kEpsilon).sqrt();
    at::Tensor gamma = p.gamma.to(at::kDouble).requires_grad_(true);
    at::Tensor projection = held(p.projection).requires_grad_(true);
    const at::Tensor logits = (x / rms * gamma).mm(projection.t()) + held(p.bias);
    const at::Tensor used = p.targets.ge(0);
    const at::Tensor scores =
        logits.log_softmax(1).gather(1, p.targets.clamp_min(0).unsqueeze(1)).squeeze(1);
    nll = at::where(used, -scores, 0.0);
    nll.sum().backward();
    gradient = x.grad();
    of_gamma = gamma.grad();
    of_projection = projection.grad();
  }
  at::Tensor nll, gradient, of_gamma, of_projection;
};

}  // namespace

TEST_CASE("loss and gradient over a vocabulary in stretches are those of the definition") {
  const Problem problem;
  for (const auto type : {at::kFloat, at::kBFloat16}) {
    CAPTURE(at::toString(type));
    const Definition expected(problem, type);
    at::Tensor dx, nll;
    const LossSum sum = problem.head(type).loss(problem.x, problem.targets, 0.25, &dx, &nll);
    const bool exact = type == at::kFloat;
    CHECK(sum.targets == kRows - 1);
    CHECK(sum.nll ==
          doctest::Approx(expected.nll.sum().item<double>()).epsilon(exact ? 1e-6 : 5e-3));
    CHECK(relative_error(nll, expected.nll) < (exact ? 1e-6 : 1e-2));
    CHECK(relative_error(dx, 0.25 * expected.gradient) < (exact ? 1e-5 : 2e-2));
    CHECK(dx[7].abs().max().item<float>() == 0);
    // Where the target is nearly certain, little of the gradient is left: it must be right too. A
    // logit of 12 in bf16 is off by up to 3 %, and so is what it leaves.
    CHECK(relative_error(dx[1], 0.25 * expected.gradient[1]) < (exact ? 1e-4 : 0.1));
    at::Tensor again;
    const LossSum without = problem.head(type).loss(problem.x, problem.targets, 1, nullptr, &again);
    CHECK(without.nll == sum.nll);
    CHECK(again.equal(nll));
  }
}

TEST_CASE("the weights' gradients over a vocabulary in stretches are those of the definition") {
  const Problem problem;
  for (const auto type : {at::kFloat, at::kBFloat16}) {
    CAPTURE(at::toString(type));
    const Definition expected(problem, type);
    Head head = problem.head(type);
    const Parameter gamma{problem.gamma, at::zeros_like(problem.gamma)};
    const Parameter projection{problem.projection.to(type), at::zeros_like(problem.projection)};
    head.bind(gamma, {}, projection);
    at::Tensor dx, plain;
    head.loss(problem.x, problem.targets, 0.25, &dx, nullptr);
    problem.head(type).loss(problem.x, problem.targets, 0.25, &plain, nullptr);
    CHECK(dx.equal(plain));
    const bool exact = type == at::kFloat;
    const double limit = exact ? 1e-5 : 2e-2;
    CHECK(relative_error(gamma.gradient, 0.25 * expected.of_gamma) < limit);
    CHECK(relative_error(projection.gradient, 0.25 * expected.of_projection) < limit);
    // A row that is target of a nearly certain token alone.
    CHECK(relative_error(projection.gradient[kVocabulary - 1],
                         0.25 * expected.of_projection[kVocabulary - 1]) < (exact ? 1e-3 : 0.2));
    head.loss(problem.x, problem.targets, 0.25, nullptr, nullptr);  // measuring adds nothing
    CHECK(relative_error(gamma.gradient, 0.25 * expected.of_gamma) < limit);
  }
}

}  // namespace organ::test
