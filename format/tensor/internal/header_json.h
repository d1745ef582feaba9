// SPDX-License-Identifier: Apache-2.0
// The JSON part of a safetensors header.
#pragma once

#include <cstdint>
#include <string_view>

#include "format/tensor/safetensors.h"

namespace organ::format::internal {

inline constexpr std::uint64_t kHeaderCap = 100'000'000;  // of the reference; decimal, not MiB
inline constexpr std::string_view kMetadataKey = "__metadata__";

// Appends what the text says to header.tensors, in its order, and to header.metadata. Whether the
// tensors tile the data section is not looked at; each has its three fields, no other, and the size
// that its shape demands. `text` may end with spaces. Throws corrupt naming `subject`, tensor and
// field; what was appended by then stays.
void parse_header_json(std::string_view text, const SafetensorsLimits& limits,
                       std::string_view subject, SafetensorsHeader& header);

}  // namespace organ::format::internal
