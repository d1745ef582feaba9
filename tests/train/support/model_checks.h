// SPDX-License-Identifier: Apache-2.0
// What a model has to reach against transformers, wherever it runs; checked with doctest.
#pragma once

#include <functional>

#include "tests/train/support/fixture.h"

namespace organ::test {

// In fp32: layers and logits, loss; the gradient of every tensor.
void check_values(train::Model& model, const Fixture& fixture);
void check_gradients(train::Model& model, const Fixture& fixture);

// The same in bf16 against fp32. What the rounding of activations costs a gradient, transformers'
// autograd loses too: how much, per tensor, stands beside each fixture.
void check_rounded_values(train::Model& model, const Fixture& fixture);
void check_rounded_gradients(train::Model& model, const Fixture& fixture);

// Each fixture, and once more for each stack that it has beside the one it shows.
void for_each_stack(const std::function<void(const Fixture&)>& action);

}  // namespace organ::test
