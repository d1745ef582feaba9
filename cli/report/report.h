// SPDX-License-Identifier: Apache-2.0
// What a command found about some things, for CI systems: JUnit XML (the form of Jenkins'
// junit-10.xsd, which GitLab reads too) and SARIF 2.1.0 (OASIS, errata 01). Plain values; the
// writers are functions of them and of the working folder, so equal findings give equal bytes: no
// clock, no machine. Texts are taken as they come from files and escaped here.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace organ::cli {

enum class ReportLevel { error, warning, note };
std::string_view to_string(ReportLevel level);  // SARIF's words

// One sentence about one thing, as it came from files.
struct ReportFinding {
  std::string rule;  // COMMAND/WHAT, stable: verify/corrupt, check/hidden_size, ci/license
  ReportLevel level = ReportLevel::error;
  std::string subject;  // "layer.01.safetensors: tensor 'x'", or empty
  std::string message;
};

enum class Outcome { passed, failed, skipped };
std::string_view to_string(Outcome outcome);

// One thing that was looked at.
struct ReportCase {
  std::string name = {};
  std::string artifact = {};  // where its findings are: a folder as it was given, or a reference
  Outcome outcome = Outcome::passed;
  std::string reason = {};  // why it was skipped
  std::vector<ReportFinding> findings = {};
};

struct Report {
  std::string command;  // verify
  std::vector<ReportCase> cases = {};
  std::map<std::string, std::string> rules = {};  // rule -> what its findings mean, for people
};

// Without a final newline, both. Texts that XML or JSON cannot carry (controls, U+FFFE, bytes that
// are no UTF-8) are written as escape_text() writes them.
std::string to_junit(const Report& report);
std::string to_sarif(const Report& report);

// Where `artifact` lies as a relative URI reference (RFC 3986): from the working folder, `/`
// between its parts, every byte that is not unreserved percent-encoded, a colon too. An absolute
// path that shares nothing but the root with the working folder gets its `..`.
std::string relative_uri(const std::string& artifact);

}  // namespace organ::cli
