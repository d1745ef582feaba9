// SPDX-License-Identifier: Apache-2.0
// The numbers of AdamW (arXiv 1711.05101) beside the learning rate.
#pragma once

#pragma GCC visibility push(default)

namespace organ::train {

// Defaults are torch.optim.AdamW's.
// beta1 and beta2, the decay of the moments, are in [0, 1); epsilon is above 0 and at most 1;
// weight_decay, which is multiplied by the rate, is in [0, 1]. In the loops all are fp32: what is
// not 0 and becomes 0 there is refused (check_settings).
struct AdamWOptions {
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 0.01;
};

}  // namespace organ::train

#pragma GCC visibility pop
