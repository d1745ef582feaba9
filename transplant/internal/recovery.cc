// SPDX-License-Identifier: Apache-2.0
#include "transplant/internal/recovery.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <optional>
#include <string>
#include <system_error>

#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/base/path_status.h"
#include "transplant/internal/folder_fd.h"

namespace organ::transplant {
namespace {

namespace fs = std::filesystem;

void remove_tree(const fs::path& path) {
  std::error_code error;
  fs::remove_all(path, error);
  if (error) fail(ErrorCode::io, "{}: remove failed: {}", quote(path.string()), error.message());
}

void remove_if_empty(const fs::path& folder) {
  if (::rmdir(folder.c_str()) != 0 && errno != ENOENT && errno != ENOTEMPTY && errno != EEXIST) {
    fail_errno(folder.string(), "remove");
  }
}

void require_digest(const FolderFd& folder, const std::string& name, const Digest& expected,
                    const Work& work) {
  const fs::path path = folder.path() / name;
  const Digest found = hash_file_flat(folder.open_file(name).get(), path.string(), work);
  if (found == expected) return;
  throw Error(ErrorCode::corrupt,
              fmt::format("{}: has {}, the pending change expects {}", quote(path.string()),
                          found.to_string(), expected.to_string()),
              "put the file back as it was and the change is finished; or organ install --abort "
              "--into MODEL gives the change up and leaves the model's files as they are");
}

// The folders that a decided change moves things between. A stage that has lost its parts has
// nothing left to move.
struct Places {
  FolderFd model, root, receipts, undos;
  std::optional<FolderFd> stage, files;

  explicit Places(const StateFolder& state)
      : model(state.model),
        root(model.below(state.root.filename())),
        receipts(root.below(state.receipts().filename())),
        undos(root.below(state.undos().filename())) {
    const std::string name = state.stage().filename();
    if (!root.has(name)) return;
    stage.emplace(root.below(name));
    const std::string inside = state.staged_files().filename();
    if (stage->has(inside)) files.emplace(stage->below(inside));
  }

  bool is_staged(const std::string& file) const { return files && files->has(file); }
};

// After a crash both sides are checked before anything is renamed.
void check_file(const Places& places, const Change::File& file, const Work& work) {
  if (places.is_staged(file.path)) {
    require_digest(*places.files, file.path, file.after, work);
    require_digest(places.model, file.path, file.before, work);
  } else {
    require_digest(places.model, file.path, file.after, work);
  }
}

void move_if_there(const std::optional<FolderFd>& from, const std::string& name, const FolderFd& to,
                   const std::string& new_name) {
  if (from && from->has(name)) from->move(name, to, new_name);
  if (!to.has(new_name)) {
    fail(ErrorCode::corrupt, "{}: is missing", quote((to.path() / new_name).string()));
  }
}

void apply(const StateFolder& state, const Change& change) {
  const Places places(state);
  const std::string undo = state.undo(change.number).filename();
  const std::string receipt = state.receipt(change.number).filename();
  if (change.kind == Change::Kind::install) {
    move_if_there(places.stage, state.staged_undo().filename(), places.undos, undo);
    places.undos.sync();
  }
  for (const Change::File& file : change.files) {
    move_if_there(places.files, file.path, places.model, file.path);
  }
  places.model.sync();
  if (change.kind == Change::Kind::install) {
    move_if_there(places.stage, state.staged_receipt().filename(), places.receipts, receipt);
  } else {
    remove_path(state.receipt(change.number));
    remove_tree(state.undo(change.number));
  }
  places.receipts.sync();
  places.undos.sync();
}

void remove_empty_folders(const StateFolder& state) {
  remove_if_empty(state.receipts());
  remove_if_empty(state.undos());
}

using FileState = Abandoned::FileState;

bool has_digest(const FolderFd& folder, const std::string& name, const Digest& digest,
                const Work& work) {
  if (!folder.has(name)) return false;
  return hash_file_flat(folder.open_file(name).get(), (folder.path() / name).string(), work) ==
         digest;
}

FileState state_of(const Places& places, const Change::File& file, const Work& work) {
  if (has_digest(places.model, file.path, file.before, work)) return FileState::old;
  return has_digest(places.model, file.path, file.after, work) ? FileState::changed
                                                               : FileState::unknown;
}

// Nothing for a journal that cannot be read: it names no file.
std::map<std::string, FileState> states_of(const StateFolder& state, const Work& work) {
  Change change;
  try {
    change = Change::parse(read_file(state.journal(), kJournalLimit, Symlinks::refuse),
                           state.journal().string());
  } catch (const Error&) {
    return {};
  }
  state.make(state.receipts());
  state.make(state.undos());
  const Places places(state);
  std::map<std::string, FileState> states;
  for (const Change::File& file : change.files) {
    states.emplace(file.path, state_of(places, file, work));
  }
  return states;
}

// Of a change that has begun to show, the prepared files may be the only copy of something.
void keep_aside(const StateFolder& state, Abandoned& outcome) {
  const auto count = [&](FileState which) {
    return std::count_if(outcome.files.begin(), outcome.files.end(),
                         [&](const auto& file) { return file.second == which; });
  };
  const auto changed = count(FileState::changed), unknown = count(FileState::unknown);
  if (changed > 0 && unknown == 0) {
    throw Error(
        ErrorCode::conflict,
        fmt::format("{}: {} of {} are changed already, the change can only be finished",
                    quote(state.model.string()), changed, counted(outcome.files.size(), "file")),
        "organ install --continue --into MODEL finishes it; organ uninstall then takes the organ "
        "out");
  }
  const FolderFd root(state.root);
  const std::string aside = state.abandoned().filename(), journal = state.journal().filename();
  if (unknown == 0 && !outcome.files.empty()) {
    remove_path(state.journal());
    return;
  }
  if (root.has(aside)) {
    throw Error(ErrorCode::already_exists,
                fmt::format("{}: holds an earlier change that was given up",
                            quote(state.abandoned().string())),
                "look at it, then remove it");
  }
  state.make(state.stage());
  // The journal first: once it is away nothing is pending any more.
  root.move(journal, root.below(state.stage().filename()), journal);
  root.move(state.stage().filename(), root, aside);
  outcome.aside = state.abandoned();
}

}  // namespace

void finish(const StateFolder& state, const Change& change) {
  apply(state, change);
  remove_tree(state.stage());
  remove_path(state.journal());
  sync_folder(state.root);
  remove_empty_folders(state);
}

void remove_state_if_empty(const StateFolder& state) {
  if (list_folder(state.root) != std::vector<std::string>{state.lock().filename().string()}) return;
  remove_path(state.lock());
  remove_if_empty(state.root);
}

void discard(const StateFolder& state) {
  remove_tree(state.stage());
  remove_empty_folders(state);
}

Recovery recover(const StateFolder& state, const Work& work) {
  const Pending pending = state.pending();
  if (pending == Pending::decided) {
    const Change change = Change::parse(read_file(state.journal(), kJournalLimit, Symlinks::refuse),
                                        state.journal().string());
    state.make(state.receipts());
    state.make(state.undos());
    const Work checking = work.phase("finishing a change", 0);
    const Places places(state);
    for (const Change::File& file : change.files) check_file(places, file, checking);
    finish(state, change);
    return Recovery::completed;
  }
  if (pending == Pending::nothing) return Recovery::nothing;
  discard(state);
  return Recovery::discarded;
}

Abandoned abandon(const StateFolder& state, const Work& work) {
  Abandoned outcome;
  outcome.pending = state.pending();
  if (outcome.pending == Pending::nothing) return outcome;
  if (outcome.pending == Pending::decided) {
    outcome.files = states_of(state, work);
    keep_aside(state, outcome);
  }
  discard(state);
  sync_folder(state.root);
  return outcome;
}

}  // namespace organ::transplant
