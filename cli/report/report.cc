// SPDX-License-Identifier: Apache-2.0
#include "cli/report/report.h"

#include <filesystem>
#include <string_view>
#include <system_error>

#include <fmt/core.h>

#include "cli/report/internal/report_text.h"
#include "format/base/fail.h"

namespace organ::cli {
namespace {

namespace fs = std::filesystem;

// RFC 3986, 2.3, and the slash between the parts of a path.
bool stays_in_uri(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_' || c == '~' || c == '/';
}

}  // namespace

std::string_view to_string(Outcome outcome) {
  constexpr std::string_view kNames[] = {"passed", "failed", "skipped"};
  return kNames[static_cast<std::size_t>(outcome)];
}

std::string_view to_string(ReportLevel level) {
  constexpr std::string_view kNames[] = {"error", "warning", "note"};
  return kNames[static_cast<std::size_t>(level)];
}

std::string shown_text(std::string_view text) {
  constexpr std::size_t kLongest = 4096;
  return escape_text(text, kLongest);
}

std::string sentence(const ReportFinding& finding) {
  return finding.subject.empty() ? finding.message : finding.subject + ": " + finding.message;
}

std::string relative_uri(const std::string& artifact) {
  fs::path path = fs::path(artifact).lexically_normal();
  if (path.is_absolute()) {
    std::error_code error;
    const fs::path here = fs::current_path(error);
    if (!error) path = path.lexically_relative(here);
  }
  std::string text = path.generic_string();
  while (text.ends_with('/')) text.pop_back();
  std::string uri;
  for (const char c : text) {
    uri +=
        stays_in_uri(c) ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return uri.empty() ? "." : uri;
}

}  // namespace organ::cli
