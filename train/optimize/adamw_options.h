// SPDX-License-Identifier: Apache-2.0
// The numbers of AdamW (arXiv 1711.05101) beside the learning rate.
#pragma once

#pragma GCC visibility push(default)

namespace organ::train {

// Defaults are torch.optim.AdamW's.
struct AdamWOptions {
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 0.01;
};

}  // namespace organ::train

#pragma GCC visibility pop
