// SPDX-License-Identifier: Apache-2.0
// Self-tests of a data set: what makes a loss look better than it is without any fault of the
// model. No Torch.
#pragma once

#include "train/probes/finding.h"

namespace organ::train {

class TokenStream;

// padding: documents (rows of ids) that end in runs of an id of `padding`, or in runs of one that
// ends most of them, have padding that counts as text.
ProbeFinding probe_trailing_padding(const TokenStream& data, PaddingIds padding = {});

// overlap: how much of a held-out text training may know, see train/data/overlap.h.
ProbeFinding overlap_finding(double share);

}  // namespace organ::train
