// SPDX-License-Identifier: Apache-2.0
#include "train/memory.h"

#include <climits>

#include <malloc.h>

namespace organ::train {

void keep_large_blocks() {
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, INT_MAX);
  mallopt(M_TOP_PAD, 64 << 20);
}

}  // namespace organ::train
