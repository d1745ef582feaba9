// SPDX-License-Identifier: Apache-2.0
// Precompiled for the programs, as format/pch/plain.h is for the rest.
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
