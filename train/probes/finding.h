// SPDX-License-Identifier: Apache-2.0
// What a self-test found. No Torch.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "format/base/error.h"

#pragma GCC visibility push(default)

namespace organ::train {

using PaddingIds = std::span<const std::int64_t>;  // ids known to fill up rows

// One number against one limit.
struct ProbeFinding {
  std::string name;  // causality | shift | hidden | padding | uniform | overlap
  bool passed = false;
  double measured = 0;
  double limit = 0;     // measured must not be above it
  std::string message;  // what the number is, one line
  // What a failure is and what helps: internal for our maths, invalid_argument for data.
  ErrorCode code = ErrorCode::internal;
  std::string hint = {};
};

// Passed when measured <= limit; a NaN fails.
ProbeFinding make_finding(std::string name, double measured, double limit, std::string message);

// One line: "self-test causality ok: …".
std::string describe(const ProbeFinding& finding);

// One line for findings that all passed, each name once: "self-tests passed: causality, shift".
std::string describe_passed(const std::vector<ProbeFinding>& findings);

// True for no findings too.
bool all_passed(const std::vector<ProbeFinding>& findings);

// Throws the first finding that did not pass.
// With its code, its line as describe() writes it, and its hint. Nothing where all passed.
void require_passed(const std::vector<ProbeFinding>& findings);

}  // namespace organ::train

#pragma GCC visibility pop
