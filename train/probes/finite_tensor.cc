// SPDX-License-Identifier: Apache-2.0
#include "train/probes/finite_tensor.h"

#include "format/checkpoint/finite_tensors.h"

namespace organ::train {

void name_tensor(std::vector<ProbeFinding>& findings, const format::Checkpoint& checkpoint) {
  for (ProbeFinding& finding : findings) {
    if (finding.passed || finding.name != "finite") continue;
    const auto tensor = format::first_not_finite_tensor(checkpoint);
    if (!tensor) continue;
    finding.code = tensor->code;
    finding.message += "; " + tensor->subject + ": " + tensor->message;
  }
}

}  // namespace organ::train
