// SPDX-License-Identifier: Apache-2.0
// README.md of an organ folder: what the manifest says, in words.
#pragma once

#include <string>

#include "format/manifest/manifest.h"

namespace organ::format {

// Markdown. States what the organ is, where it comes from, how it was trained and measured, and
// what nobody has shown. `manifest.files` is not used, so the card can be one of them.
std::string model_card(const Manifest& manifest);

}  // namespace organ::format
