// SPDX-License-Identifier: Apache-2.0
#include "train/probes/internal/head_probes.h"

#include "tests/train/support/doctest.h"

#include <ATen/ATen.h>

#include "train/model/internal/head.h"

namespace organ::test {
namespace {

using train::Batch;
using train::Head;
using train::LossSum;
using train::ProbedHead;

constexpr std::int64_t kVocabulary = 61, kHidden = 8, kChunk = 5, kLength = 13;

at::Tensor numbers(at::IntArrayRef shape, double step) {
  std::int64_t count = 1;
  for (const std::int64_t extent : shape) count *= extent;
  return at::sin(at::arange(count, at::kFloat) * step).view(shape);
}

// With every shift that a head can have.
struct MadeHead {
  at::Tensor projection = numbers({kVocabulary, kHidden}, 0.7);
  at::Tensor bias = numbers({kVocabulary}, 1.3);

  Head head() const {
    return {train::Normalization(train::NormKind::layer, 1e-5, {numbers({kHidden}, 0.9) + 2, {}},
                                 {numbers({kHidden}, 1.1), {}}),
            projection, kChunk, bias,
            train::HeadTransform{train::Projection({numbers({kHidden, kHidden}, 0.3), {}},
                                                   {numbers({kHidden}, 0.5), {}},
                                                   train::Orientation::out_in, nullptr),
                                 train::kernels::Activation::gelu}};
  }
  ProbedHead probed() const {
    ProbedHead probed{kVocabulary, kChunk, {}, {}, {}};
    probed.loss = [made = *this](const at::Tensor& x, const Batch& batch, at::Tensor* per_token) {
      return made.head().loss(x, batch.targets, 1.0, nullptr, per_token);
    };
    probed.uniform_loss = [made = *this](const at::Tensor& targets, at::Tensor* per_token) {
      const at::Tensor x = at::zeros({targets.numel(), kHidden}, at::kFloat);
      return made.head().unshifted().loss(x, targets, 1.0, nullptr, per_token);
    };
    probed.logits = [made = *this](const at::Tensor& x, const std::vector<std::int64_t>& rows) {
      return made.head().logits(x, rows);
    };
    return probed;
  }
};

// The same change of the loss wherever the head is asked for it.
template <typename Change>
ProbedHead with_changed_loss(Change change) {
  const ProbedHead sound = MadeHead().probed();
  ProbedHead wrong = sound;
  wrong.loss = [=](const at::Tensor& x, const Batch& batch, at::Tensor* per_token) {
    const auto loss = [&](const at::Tensor& targets, at::Tensor* out) {
      Batch other = batch;
      other.targets = targets;
      return sound.loss(x, other, out);
    };
    return change(loss, batch.targets, per_token);
  };
  wrong.uniform_loss = [=](const at::Tensor& targets, at::Tensor* per_token) {
    return change(sound.uniform_loss, targets, per_token);
  };
  return wrong;
}

bool passes_loss(const ProbedHead& head) {
  Batch batch;
  batch.rows = 1;
  batch.length = kLength;
  batch.targets = at::arange(kLength, at::kLong) * 4;
  return probe_loss(head, numbers({kLength, kHidden}, 0.37), batch).passed;
}

}  // namespace

TEST_CASE("a sound head passes, with every shift it can have") {
  const ProbedHead head = MadeHead().probed();
  CHECK(probe_uniform(head).measured < 1e-6);
  CHECK(probe_uniform(head).passed);
  CHECK(passes_loss(head));
}

TEST_CASE("a loss of another scale is found") {
  const ProbedHead wrong =
      with_changed_loss([](const auto& loss, const at::Tensor& targets, at::Tensor* per_token) {
        LossSum sum = loss(targets, per_token);
        sum.nll *= 1.001;
        per_token->mul_(1.001);
        return sum;
      });
  CHECK_FALSE(probe_uniform(wrong).passed);
  CHECK_FALSE(passes_loss(wrong));
}

TEST_CASE("a vocabulary with one word too many is found") {
  MadeHead padded;
  padded.projection = at::cat({padded.projection, at::zeros({1, kHidden})});
  padded.bias = at::cat({padded.bias, at::zeros({1})});
  CHECK_FALSE(probe_uniform(padded.probed()).passed);
}

TEST_CASE("a vocabulary that is cut is found") {
  MadeHead cut;
  cut.projection = cut.projection.narrow(0, 1, kVocabulary - 1).clone();
  cut.bias = cut.bias.narrow(0, 1, kVocabulary - 1).clone();
  ProbedHead head = cut.probed();
  const auto loss = head.uniform_loss;
  CHECK_THROWS_AS(probe_uniform(head), Error);  // its last word is no target
  head.uniform_loss = [&](const at::Tensor& targets, at::Tensor* per_token) {
    return loss(targets.clamp_max(kVocabulary - 2), per_token);
  };
  CHECK_FALSE(probe_uniform(head).passed);
}

// Where all logits are equal, no target is wrong; the other probe looks at logits that differ.
TEST_CASE("targets that are shifted in the vocabulary are found") {
  const ProbedHead wrong =
      with_changed_loss([](const auto& loss, const at::Tensor& targets, at::Tensor* per_token) {
        return loss((targets + 1).remainder(kVocabulary), per_token);
      });
  CHECK(probe_uniform(wrong).passed);
  CHECK_FALSE(passes_loss(wrong));
}

TEST_CASE("rows that the chunks lose or count twice are found") {
  SUBCASE("a loss that ends with the last whole chunk") {
    CHECK_FALSE(probe_uniform(with_changed_loss([](const auto& loss, const at::Tensor& targets,
                                                   at::Tensor* per_token) {
                  const std::int64_t rows = targets.numel(), whole = rows / kChunk * kChunk;
                  at::Tensor rest = targets.clone();
                  rest.narrow(0, whole, rows - whole).fill_(-1);
                  return loss(rest, per_token);
                })).passed);
  }
  SUBCASE("the same, counted as if it were there") {
    CHECK_FALSE(probe_uniform(with_changed_loss([](const auto& loss, const at::Tensor& targets,
                                                   at::Tensor* per_token) {
                  const std::int64_t rows = targets.numel(), whole = rows / kChunk * kChunk;
                  at::Tensor rest = targets.clone();
                  rest.narrow(0, whole, rows - whole).fill_(-1);
                  return LossSum{loss(rest, per_token).nll, rows};
                })).passed);
  }
  SUBCASE("chunks that overlap by a row") {
    CHECK_FALSE(probe_uniform(with_changed_loss([](const auto& loss, const at::Tensor& targets,
                                                   at::Tensor* per_token) {
                  LossSum sum = loss(targets, per_token);
                  sum.nll += (*per_token)[kChunk - 1].template item<double>();
                  return sum;
                })).passed);
  }
}

TEST_CASE("a loss that is not finite is found") {
  CHECK_FALSE(probe_uniform(with_changed_loss([](const auto& loss, const at::Tensor& targets,
                                                 at::Tensor* per_token) {
                LossSum sum = loss(targets, per_token);
                sum.nll = NAN;
                return sum;
              })).passed);
}

}  // namespace organ::test
