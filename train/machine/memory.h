// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>

namespace organ::train {

// Makes the C allocator keep large freed blocks instead of giving each back to the kernel and
// faulting it in again at the next step, which costs a tenth of the speed of training. For the
// whole process; call once, before other threads run. Other allocators ignore it.
void keep_large_blocks();

// The most memory this process has held at once (VmHWM of Linux); nullopt where that is not told.
std::optional<std::uint64_t> peak_resident_bytes();

}  // namespace organ::train
