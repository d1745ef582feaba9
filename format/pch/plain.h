// SPDX-License-Identifier: Apache-2.0
// Precompiled: what nearly every file without LibTorch includes, parsed once a target. No file may
// rely on it: each includes what it uses.
#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
