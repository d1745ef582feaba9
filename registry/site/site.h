// SPDX-License-Identifier: Apache-2.0
// A registry as one page for a browser: its versions, lineage, figures, signatures, withdrawals,
// and whether they fit a recipient. The page loads nothing and needs no server
// (schemas/registry.md, "The page").
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "format/base/json_text.h"
#include "registry/registry.h"

namespace organ::registry {

inline constexpr std::size_t kLongestTitle = 200;  // bytes

// What the page says beside what the registry does.
struct SiteOptions {
  std::string title = "Organs";  // 1 to kLongestTitle bytes of any text: it is escaped
  JsonText families = {};        // format::family_data()
  JsonText rules = {};           // transplant::field_rules()
};

// What write_site() wrote.
struct SiteResult {
  std::uint64_t versions = 0;
  std::uint64_t damaged = 0;  // of them: what they say cannot be read, which the page tells
  std::uint64_t bytes = 0;    // of the page
};

// Makes a new folder with index.html and, for programs, catalog.json with the same data
// (site-catalog.v1.schema.json). Equal registries and options give equal bytes. Each version is
// proved against the log; no weight is read. Throws already_exists, invalid_argument for a title
// that is empty or too long, untrusted when policy.json shows other rules than the log, io,
// cancelled, and what reading the registry throws; nothing is left behind.
SiteResult write_site(const Registry& registry, const std::filesystem::path& out,
                      const SiteOptions& options, const Work& work = {});

}  // namespace organ::registry
