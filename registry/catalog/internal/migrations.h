// SPDX-License-Identifier: Apache-2.0
// registry/catalog/sql/NNNN_*.sql in order; entry i brings a catalog from user_version i to i + 1.
#pragma once

#include <string_view>
#include <vector>

namespace organ::registry {

extern const std::vector<std::string_view> kMigrations;

}  // namespace organ::registry
