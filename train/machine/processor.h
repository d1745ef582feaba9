// SPDX-License-Identifier: Apache-2.0
// What of the processor decides which kernels MKL and oneDNN choose. No Torch.
#pragma once

#include <string>

namespace organ::train {

// Its maker, the instruction sets by which kernels are chosen beyond what LibTorch's capability
// says, and the sizes of its caches in KiB, by which oneDNN divides matrices; on one line, such as
// "GenuineIntel avx512_vnni avx512_bf16 caches 48 2048 33792". Instructions as CPUID tells them
// (Intel SDM, volume 2A, CPUID, leaf 7), those that the system does not allow left out. Of other
// architectures than x86-64 the caches alone. Always the same within a process.
std::string processor();

}  // namespace organ::train
