// SPDX-License-Identifier: Apache-2.0
// Amounts as people read them.
#pragma once

#include <cstdint>
#include <string>

namespace organ::cli {

std::string size_text(std::uint64_t bytes);  // 12.3 MB; powers of 1000
// 4.3210; one of a model that knows nothing, which may have 80 digits, as 1.2e+63.
std::string perplexity_text(double perplexity);
std::string clock_text(std::uint64_t seconds);  // 0:07, 12:34, 1:02:03
// The line of `organ doctor` about products of matrices, in GFLOP/s.
std::string matrix_rates(double fp32, double bf16, std::uint64_t threads);

}  // namespace organ::cli
