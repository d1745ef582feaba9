// SPDX-License-Identifier: Apache-2.0
// Precompiled: what nearly every file that sees LibTorch includes, parsed once instead of 20 s a
// file. No file may rely on it: each includes what it uses.
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

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
