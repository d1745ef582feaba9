// SPDX-License-Identifier: Apache-2.0
// A question on the terminal whose answer is not shown.
#pragma once

#include <string>
#include <string_view>

namespace organ::cli {

// Whether there is somebody to ask: both stdin and stderr are a terminal.
bool can_ask();

// The line that is typed, without its end; it may be empty. The echo of the terminal is off
// meanwhile and is back before a signal that ends or stops the process takes effect; after a stop
// the question is asked again. Throws cancelled where the input ends before the line does, io. To
// be called while the process has one thread.
std::string ask_in_secret(std::string_view question);

}  // namespace organ::cli
