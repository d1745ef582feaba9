// SPDX-License-Identifier: Apache-2.0
// What every command shares: global options, output, exit code.
#pragma once

#include <filesystem>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "format/base/error.h"
#include "format/organ/organ_source.h"

namespace organ::cli {

// The state of one run. Commands write data to stdout through print/print_json and everything
// else to stderr through note/warn; text from files must have gone through escape_text.
class Context {
 public:
  // Global options, on every command (Command::add_command).
  //
  // json: one record on stdout, by print_json. quiet: see confirm() and note(). verbose: how often
  // -v was given. progress and registry: nullopt where they were not given.
  bool json = false;
  bool quiet = false;
  int verbose = 0;
  std::optional<bool> progress;                   // --progress / --no-progress
  std::optional<std::filesystem::path> registry;  // --registry

  // What this run has changed for good ("the organ is installed"): said when what it has to say
  // cannot be written. From set_done on a first signal ends nothing any more (complete_first).
  std::string done;
  void set_done(std::string what);

  // The command line, for a command that organ-train has the other half of.
  // Without the program's name.
  std::vector<std::string> words;

  // --json stands on the command line, understood or not: an error is a record too.
  bool json_errors = false;

  int exit_code = 0;  // a command raises it by worsen(); "the worst finding wins"

  void print(std::string_view line) const;  // stdout, adds a newline: data that was asked for
  // The same, but not with --quiet: that something was made or changed, as it was meant to be.
  void confirm(std::string_view line) const;
  // One record: schema_version 1 and "command" are put in front of `record`'s own fields.
  void print_json(std::string_view command, nlohmann::json record) const;
  void note(std::string_view line) const;                         // stderr unless --quiet
  void insist(std::string_view line) const;                       // stderr, --quiet or not
  void warn(std::string_view line) const;                         // the same, "warning: "
  void warn_of(const std::vector<std::string>& sentences) const;  // each, with names escaped
  void detail(std::string_view line) const;                       // stderr with -v
  // note() of a file of a model that a new folder goes without, perhaps as a link out of the model.
  void note_left_out(std::string_view name, bool leads_away) const;
  void worsen(ErrorCode code);  // exit_code of the worst class seen

  // While one lives, what is said on stderr waits for its end: a meter has the line meanwhile.
  class Silence {
   public:
    explicit Silence(const Context& context) : context_(context) { context_.silent_ = true; }
    ~Silence();
    Silence(const Silence&) = delete;
    Silence& operator=(const Silence&) = delete;

   private:
    const Context& context_;
  };

  // --registry, ORGAN_REGISTRY, $XDG_DATA_HOME/organ/registry, ~/.local/share/organ/registry.
  // XDG_DATA_HOME and HOME count when they are absolute (XDG Base Directory Specification): what
  // nobody named must not depend on the working directory. Throws invalid_argument without any.
  std::filesystem::path registry_path() const;
  // What this user has seen of registries: $XDG_CONFIG_HOME/organ/trust, else
  // ~/.config/organ/trust; empty without either.
  std::filesystem::path known_registries() const;
  // When this user last read objects of registries: $XDG_STATE_HOME/organ/read, else
  // ~/.local/state/organ/read; empty without either.
  std::filesystem::path read_memory() const;
  bool show_progress() const;  // asked for, or stderr is a terminal, TERM not dumb, no NO_COLOR

 private:
  void say(std::string_view line) const;

  mutable bool silent_ = false;
  mutable std::set<std::string> warned_;  // each sentence once, whoever finds it again
  mutable std::string waiting_;
};

// Precedence of exit codes when several findings meet: 4 corrupt > 5 untrusted > 3 incompatible >
// 6 not found > 7 locked > 2 usage > 130 interrupted > 1 > 0.
int worse_exit_code(int a, int b);

// Throws invalid_argument where a command's new folder would lie inside the model it reads.
void require_outside(const std::filesystem::path& new_folder, const std::filesystem::path& model);

// Throws not_found where the folder that a new file or folder will lie in is not there, and
// invalid_argument where that is no folder: before any long work begins.
void require_folder_above(const std::filesystem::path& out);

// A findings list as lines on stderr and as JSON.
nlohmann::json to_json(const std::vector<format::Finding>& findings);
// Texts are escaped in both; the lines come with --quiet too, and while a Silence lives.
void show_findings(std::span<const format::Finding> findings);

}  // namespace organ::cli
