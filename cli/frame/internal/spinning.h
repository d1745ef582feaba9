// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string_view>

namespace organ::cli {

// How often a thread of GNU OpenMP asks again before it sleeps, where other programs are computing.
inline constexpr std::string_view kBusySpinCount = "2000";

// The share of the last ten seconds, in percent, in which something waited for a processor: "avg10"
// of the line "some" of /proc/pressure/cpu (Linux, Documentation/accounting/psi.rst). nullopt where
// `pressure` does not say.
std::optional<double> processor_pressure(std::string_view pressure);

// The value for GOMP_SPINCOUNT of the program that computes; nullopt leaves it as libgomp has it,
// 300,000. Two cores, `eval` of SmolLM2, 6 windows of 512: on an idle machine 2,000 is 8 to 11 %
// slower, 100,000 is 2 to 6 %; beside two other busy programs 300,000 takes 4.4 times the time of
// 2,000. So what is busy, what cannot be known, and processes that train together
// (`several_processes`) spin little.
std::optional<std::string_view> spin_count(std::string_view pressure, bool several_processes);

// Sets GOMP_SPINCOUNT in the environment of the programs started from now on, unless the user chose
// (it, or OMP_WAIT_POLICY, is set). GNU OpenMP reads it when it is loaded. Not thread-safe.
void choose_spinning();

}  // namespace organ::cli
