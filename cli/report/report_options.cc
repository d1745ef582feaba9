// SPDX-License-Identifier: Apache-2.0
#include "cli/report/report_options.h"

#include <algorithm>
#include <filesystem>
#include <iterator>

#include "cli/frame/parse_option.h"
#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/base/file_system.h"
#include "format/base/path_status.h"

namespace organ::cli {
namespace {

constexpr std::string_view kFormNames[] = {"text", "json", "junit", "sarif"};  // in their order

// The registry that would be asked; without a HOME there may be none.
std::string registry_of(const Context& context) {
  try {
    return context.registry_path().string();
  } catch (const Error&) {
    return {};
  }
}

void check_report_file(const std::string& file, const std::vector<std::string>& read) {
  if (file.empty()) return;
  const auto id = file_id(std::filesystem::path(file));
  for (const std::string& one : read) {
    if (one.empty()) continue;
    require_outside(file, one);
    if (id && id == file_id(std::filesystem::path(one)) && !is_folder(one)) {
      throw Error(ErrorCode::invalid_argument,
                  quote(file) + ": is read by this command, and a report would replace it");
    }
  }
  const PathStatus status = path_status(file, Symlinks::refuse);
  if (status != PathStatus::nothing && status != PathStatus::file) {
    throw Error(ErrorCode::invalid_argument, quote(file) + ": is no regular file",
                "a report replaces a report of before and nothing else; --format prints one");
  }
  require_folder_above(file);
}

}  // namespace

std::string_view to_string(ReportForm form) { return kFormNames[static_cast<std::size_t>(form)]; }

std::optional<ReportForm> parse_report_form(std::string_view name) {
  const auto* found = std::find(std::begin(kFormNames), std::end(kFormNames), name);
  if (found == std::end(kFormNames)) return std::nullopt;
  return static_cast<ReportForm>(found - std::begin(kFormNames));
}

void add_report_options(Command& command, ReportOptions& options) {
  add_choice(command, "--format", options.form, parse_report_form, "text|json|junit|sarif",
             "form of the report on stdout");
  command.add_path("--junit", options.junit, "write the report there too, as JUnit XML")
      .value_name("FILE");
  command.add_path("--sarif", options.sarif, "write the report there too, as SARIF 2.1.0")
      .value_name("FILE");
}

void check_report_files(const Context& context, const ReportOptions& options,
                        std::vector<std::string> read) {
  read.push_back(registry_of(context));
  check_report_file(options.junit, read);
  check_report_file(options.sarif, read);
  if (options.junit.empty() || options.sarif.empty()) return;
  if (place_of(options.junit) == place_of(options.sarif)) {
    throw Error(ErrorCode::invalid_argument, quote(options.junit) + ": is wanted for both reports");
  }
}

void write_reports(const ReportOptions& options, const Report& report) {
  if (!options.junit.empty()) write_file(options.junit, to_junit(report) + "\n");
  if (!options.sarif.empty()) write_file(options.sarif, to_sarif(report) + "\n");
}

bool print_report(const Context& context, const ReportOptions& options, const Report& report) {
  if (wants_json(context, options) || options.form == ReportForm::text) return false;
  context.print(options.form == ReportForm::junit ? to_junit(report) : to_sarif(report));
  return true;
}

bool wants_json(const Context& context, const ReportOptions& options) {
  return context.json || options.form == ReportForm::json;
}

}  // namespace organ::cli
