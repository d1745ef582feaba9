// SPDX-License-Identifier: Apache-2.0
// What is behind a failed self-test `finite`.
#pragma once

#include <vector>

#include "format/checkpoint/checkpoint.h"
#include "train/probes/finding.h"

namespace organ::train {

// Where `finite` failed and a tensor of the checkpoint holds NaN or infinity, the finding names it.
// It is read for that only then, tensor by tensor; the finding's code becomes that of the tensor.
void name_tensor(std::vector<ProbeFinding>& findings, const format::Checkpoint& checkpoint);

}  // namespace organ::train
