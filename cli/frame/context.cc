// SPDX-License-Identifier: Apache-2.0
#include "cli/frame/context.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <utility>

#include <nlohmann/json.hpp>

#include "cli/frame/interrupt.h"
#include "cli/frame/parse_option.h"
#include "format/base/fail.h"
#include "format/base/file_system.h"
#include "format/base/path_status.h"

namespace organ::cli {
namespace {

namespace fs = std::filesystem;

std::optional<std::string> environment(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0' ? std::optional<std::string>(value) : std::nullopt;
}

// A folder that the system names; a relative one names nothing.
std::optional<fs::path> environment_folder(const char* name) {
  const auto value = environment(name);
  if (!value || !fs::path(*value).is_absolute()) return std::nullopt;
  return fs::path(*value);
}

}  // namespace

void Context::print(std::string_view line) const { std::cout << line << '\n'; }

void Context::confirm(std::string_view line) const {
  if (!quiet) print(line);
}

void Context::print_json(std::string_view command, nlohmann::json record) const {
  nlohmann::ordered_json out = {{"schema_version", 1}, {"command", command}};
  for (auto& [key, value] : record.items()) out[key] = value;
  // Names of files may be any bytes.
  std::cout << out.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << '\n';
}

void Context::say(std::string_view line) const {
  if (silent_) {
    (waiting_ += line) += '\n';
  } else {
    std::cerr << line << '\n';
  }
}

Context::Silence::~Silence() {
  context_.silent_ = false;
  std::cerr << std::exchange(context_.waiting_, {}) << std::flush;
}

void Context::note(std::string_view line) const {
  if (!quiet) say(line);
}

void Context::note_left_out(std::string_view name, bool leads_away) const {
  std::string line = "left out: " + escape_text(name);
  if (leads_away) line += " (a link out of the model; --trust-links ROOT follows it)";
  note(line);
}

void Context::insist(std::string_view line) const { say(line); }

void Context::warn(std::string_view line) const { insist("warning: " + std::string(line)); }

void Context::warn_of(const std::vector<std::string>& sentences) const {
  constexpr std::size_t kLongest = 2048;
  for (const std::string& sentence : sentences) {
    if (warned_.insert(sentence).second) warn(escape_text(sentence, kLongest));
  }
}

void Context::detail(std::string_view line) const {
  if (verbose > 0) say(line);
}

void Context::set_done(std::string what) {
  complete_first();
  done = std::move(what);
}

void Context::worsen(ErrorCode code) {
  exit_code = worse_exit_code(exit_code, organ::exit_code(code));
}

fs::path Context::known_registries() const {
  if (const auto config = environment_folder("XDG_CONFIG_HOME")) return *config / "organ" / "trust";
  if (const auto home = environment_folder("HOME")) return *home / ".config" / "organ" / "trust";
  return {};
}

fs::path Context::read_memory() const {
  if (const auto state = environment_folder("XDG_STATE_HOME")) return *state / "organ" / "read";
  if (const auto home = environment_folder("HOME")) {
    return *home / ".local" / "state" / "organ" / "read";
  }
  return {};
}

fs::path Context::registry_path() const {
  if (registry) return *registry;
  if (const auto path = environment("ORGAN_REGISTRY")) return typed_path(*path);
  if (const auto data = environment_folder("XDG_DATA_HOME")) return *data / "organ" / "registry";
  if (const auto home = environment_folder("HOME")) {
    return *home / ".local" / "share" / "organ" / "registry";
  }
  throw Error(ErrorCode::invalid_argument, "no registry: HOME is not set to an absolute path",
              "give --registry DIR or set ORGAN_REGISTRY");
}

bool Context::show_progress() const {
  if (progress) return *progress;
  const auto terminal = environment("TERM");
  return !quiet && ::isatty(STDERR_FILENO) == 1 && terminal && *terminal != "dumb" &&
         !environment("NO_COLOR");
}

int worse_exit_code(int a, int b) {
  constexpr int kWorstFirst[] = {4, 5, 3, 6, 7, 2, 130, 1, 0};
  const auto rank = [&](int code) {
    return std::find(std::begin(kWorstFirst), std::end(kWorstFirst), code);
  };
  return rank(a) <= rank(b) ? a : b;
}

void require_outside(const fs::path& new_folder, const fs::path& model) {
  std::error_code error;
  const fs::path inner = fs::weakly_canonical(new_folder, error);
  if (error) return;  // said by whoever opens it
  const fs::path outer = fs::weakly_canonical(model, error);
  if (error || inner == outer) return;
  if (std::mismatch(outer.begin(), outer.end(), inner.begin(), inner.end()).first == outer.end()) {
    throw Error(ErrorCode::invalid_argument,
                quote(new_folder.string()) + ": lies inside " + quote(model.string()),
                "choose a folder outside of it");
  }
}

void require_folder_above(const fs::path& out) {
  const fs::path above = folder_of(given_path(out.native()));
  if (is_folder(above)) return;
  for (fs::path on_the_way = above; !on_the_way.empty(); on_the_way = on_the_way.parent_path()) {
    if (is_folder(on_the_way)) break;
    if (is_taken(on_the_way)) {  // a file, or a link that leads nowhere
      throw Error(
          ErrorCode::invalid_argument,
          fmt::format("{}: {} is not a folder", quote(out.string()), quote(on_the_way.string())),
          "choose another place");
    }
  }
  const std::string shown = quote(above.string());
  throw Error(ErrorCode::not_found, quote(out.string()) + ": the folder " + shown + " is not there",
              "mkdir -p " + shown + " makes it");
}

nlohmann::json to_json(const std::vector<format::Finding>& findings) {
  nlohmann::json out = nlohmann::json::array();
  for (const format::Finding& finding : findings) {
    out.push_back({{"code", to_string(finding.code)},
                   {"subject", escape_text(finding.subject)},
                   {"message", escape_text(finding.message, 2048)}});
  }
  return out;
}

void show_findings(std::span<const format::Finding> findings) {
  for (const format::Finding& finding : findings) {
    std::cerr << to_string(finding.code) << ": " << escape_text(finding.subject) << ": "
              << escape_text(finding.message, 2048) << '\n';
  }
}

}  // namespace organ::cli
