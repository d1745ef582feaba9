// SPDX-License-Identifier: Apache-2.0
#include "format/manifest/manifest.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "format/base/json.h"

namespace organ::format {
namespace {

constexpr std::array<std::pair<FileRole, std::string_view>, 5> kRoles = {{
    {FileRole::layer, "layer"},
    {FileRole::shared, "shared"},
    {FileRole::head, "head"},
    {FileRole::bridge, "bridge"},
    {FileRole::card, "card"},
}};

}  // namespace

std::string_view to_string(FileRole role) {
  for (const auto& [value, text] : kRoles) {
    if (value == role) return text;
  }
  return "";
}

std::optional<FileRole> parse_file_role(std::string_view text) {
  for (const auto& [value, name] : kRoles) {
    if (name == text) return value;
  }
  return std::nullopt;
}

const FileEntry* Manifest::find_file(std::string_view path) const {
  const auto found = std::find_if(files.begin(), files.end(),
                                  [&](const FileEntry& file) { return file.path == path; });
  return found == files.end() ? nullptr : &*found;
}

std::string Manifest::stack() const {
  return json_of(architecture.layer).value("stack", std::string());
}

std::string Manifest::layer_file_name(std::uint64_t index) {
  return fmt::format("layer.{:02}.safetensors", index);
}

}  // namespace organ::format
