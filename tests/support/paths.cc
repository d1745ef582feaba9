// SPDX-License-Identifier: Apache-2.0
#include "tests/support/paths.h"

namespace organ::test {

const char* const kTokenizerData = ORGAN_TOKENIZER_DATA;
const char* const kFuzzKeys = ORGAN_FUZZ_KEYS;
const char* const kMadeNvml = ORGAN_MADE_NVML;
const char* const kMadeNccl = ORGAN_MADE_NCCL;

}  // namespace organ::test
