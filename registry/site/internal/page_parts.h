// SPDX-License-Identifier: Apache-2.0
// The parts of the page, which page/embed.py makes from page/.
#pragma once

#include <string_view>

namespace organ::registry {

// With @TITLE@, @POLICY@, @STYLE@, @DATA@ and @SCRIPT@, which write_site() fills in.
extern const std::string_view kPageHtml;
// What stands in its style and script elements; the page's security policy names their digests.
extern const std::string_view kPageStyle;
extern const std::string_view kPageScript;

}  // namespace organ::registry
