// SPDX-License-Identifier: Apache-2.0
// How the forms of a report say one finding.
#pragma once

#include <string>
#include <string_view>

#include "cli/report/report.h"

namespace organ::cli {

// escape_text() with room for the longest message.
std::string shown_text(std::string_view text);

// "SUBJECT: MESSAGE", not escaped; the message alone without a subject.
std::string sentence(const ReportFinding& finding);

}  // namespace organ::cli
