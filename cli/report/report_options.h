// SPDX-License-Identifier: Apache-2.0
// The options --format, --junit and --sarif of commands that have a Report.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/frame/command.h"
#include "cli/frame/context.h"
#include "cli/report/report.h"

namespace organ::cli {

// Of what stands on stdout: the command's own text or record, or the Report in a form of CI.
enum class ReportForm { text, json, junit, sarif };
std::string_view to_string(ReportForm form);
std::optional<ReportForm> parse_report_form(std::string_view name);

struct ReportOptions {
  ReportForm form = ReportForm::text;  // of stdout; --json says the same as json
  std::string junit, sarif;            // files that get the report too; empty: none
};
// `options` is borrowed and lives as long as the program.
void add_report_options(Command& command, ReportOptions& options);

// Throws before the work when a report could not be put there: not_found when its folder is not
// there; invalid_argument when the name is taken by what is no regular file, both are one file, or
// it is or lies in what the command reads, which it would change: one of `read` (empty ones:
// nothing) or the registry.
void check_report_files(const Context& context, const ReportOptions& options,
                        std::vector<std::string> read);

// The files, each whole or as it was; a report of before is replaced. Throws io.
void write_reports(const ReportOptions& options, const Report& report);

// Prints the report when stdout is to have it in a form of CI. False: text or JSON is asked for.
bool print_report(const Context& context, const ReportOptions& options, const Report& report);
// Whether stdout gets a record: --json is stronger than --format.
bool wants_json(const Context& context, const ReportOptions& options);

}  // namespace organ::cli
