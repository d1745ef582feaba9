// SPDX-License-Identifier: Apache-2.0
// The parts of the page, which page/embed.py makes from page/.
#pragma once

#include <string_view>

namespace organ::registry {

extern const std::string_view kPageHtml;  // with @TITLE@, @POLICY@, @STYLE@, @DATA@ and @SCRIPT@
extern const std::string_view kPageStyle;
extern const std::string_view kPageScript;

}  // namespace organ::registry
