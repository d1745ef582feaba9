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

void check_report_file(const std::string& file, const std::string& subject) {
  if (file.empty()) return;
  if (!subject.empty()) require_outside(file, subject);
  const PathStatus status = path_status(file, Symlinks::refuse);
  if (status != PathStatus::nothing && status != PathStatus::file) {
    throw Error(ErrorCode::invalid_argument, quote(file) + ": is no regular file",
                "a report replaces a report of before and nothing else; --format prints one");
  }
  if (!is_folder(folder_of(file))) {
    throw Error(ErrorCode::invalid_argument, quote(file) + ": its folder is not there");
  }
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

void check_report_files(const ReportOptions& options, const std::string& subject) {
  check_report_file(options.junit, subject);
  check_report_file(options.sarif, subject);
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
