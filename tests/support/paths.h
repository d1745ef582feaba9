// SPDX-License-Identifier: Apache-2.0
// Where this checkout and its build keep what tests open. Whole paths stand in paths.cc alone: in
// the flags of all test sources they would make each of them another file to ccache in every
// checkout.
#pragma once

namespace organ::test {

extern const char* const kTokenizerData;  // tests/train/tokenizer/data
extern const char* const kFuzzKeys;       // tests/fuzz/keys
// Libraries that stand in for NVIDIA's; empty without training.
extern const char* const kMadeNvml;
extern const char* const kMadeNccl;

}  // namespace organ::test
