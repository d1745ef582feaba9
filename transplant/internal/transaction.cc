// SPDX-License-Identifier: Apache-2.0
#include "transplant/internal/transaction.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include <nlohmann/json.hpp>

#include "format/base/fail.h"
#include "format/base/json.h"

namespace organ::transplant {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kVersion = 1;
constexpr std::uint64_t kJournalLimit = std::uint64_t{16} << 20;

bool is_there(const fs::path& path) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) == 0) return true;
  if (errno != ENOENT) fail_errno(path.string(), "stat");
  return false;
}

void move(const fs::path& from, const fs::path& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) fail_errno(to.string(), "rename");
}

void remove_tree(const fs::path& path) {
  std::error_code error;
  fs::remove_all(path, error);
  if (error) fail(ErrorCode::io, "{}: remove failed: {}", quote(path.string()), error.message());
}

void remove_file(const fs::path& path) {
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) fail_errno(path.string(), "remove");
}

void remove_if_empty(const fs::path& folder) {
  if (::rmdir(folder.c_str()) != 0 && errno != ENOENT && errno != ENOTEMPTY && errno != EEXIST) {
    fail_errno(folder.string(), "remove");
  }
}

void require_digest(const fs::path& path, const Digest& expected, const Work& work) {
  const Digest found =
      hash_file_flat(open_regular(path, Symlinks::refuse).get(), path.string(), work);
  if (found == expected) return;
  throw Error(ErrorCode::corrupt,
              fmt::format("{}: has {}, the pending change expects {}", quote(path.string()),
                          found.to_string(), expected.to_string()),
              "put the file back as it was; the change is then finished");
}

// After a crash both sides are checked before anything is renamed.
void check_file(const StateFolder& state, const Change::File& file, const Work& work) {
  const fs::path staged = state.staged_files() / file.path;
  if (is_there(staged)) {
    require_digest(staged, file.after, work);
    require_digest(state.model / file.path, file.before, work);
  } else {
    require_digest(state.model / file.path, file.after, work);
  }
}

void move_if_there(const fs::path& from, const fs::path& to) {
  if (is_there(from)) move(from, to);
  if (!is_there(to)) fail(ErrorCode::corrupt, "{}: is missing", quote(to.string()));
}

void apply(const StateFolder& state, const Change& change) {
  if (change.kind == Change::Kind::install) {
    move_if_there(state.staged_undo(), state.undo(change.number));
    sync_folder(state.undos());
  }
  for (const Change::File& file : change.files) {
    move_if_there(state.staged_files() / file.path, state.model / file.path);
  }
  sync_folder(state.model);
  if (change.kind == Change::Kind::install) {
    move_if_there(state.staged_receipt(), state.receipt(change.number));
  } else {
    remove_file(state.receipt(change.number));
    remove_tree(state.undo(change.number));
  }
  sync_folder(state.receipts());
  sync_folder(state.undos());
}

void remove_empty_folders(const StateFolder& state) {
  remove_if_empty(state.receipts());
  remove_if_empty(state.undos());
}

// The journal goes last: a stage without a journal always means a change that was not decided.
void finish(const StateFolder& state, const Change& change) {
  apply(state, change);
  remove_tree(state.stage());
  remove_file(state.journal());
  sync_folder(state.root);
  remove_empty_folders(state);
}

// Without receipts nothing of organ is left in the model folder. Expects the exclusive lock.
void remove_state_if_empty(const StateFolder& state) {
  if (list_folder(state.root) != std::vector<std::string>{state.lock().filename().string()}) return;
  remove_file(state.lock());
  remove_if_empty(state.root);
}

void discard(const StateFolder& state) {
  remove_tree(state.stage());
  remove_empty_folders(state);
}

Recovery recover(const StateFolder& state, const Work& work) {
  if (is_there(state.journal())) {
    const Change change = Change::parse(read_file(state.journal(), kJournalLimit, Symlinks::refuse),
                                        state.journal().string());
    make_folder(state.receipts());
    make_folder(state.undos());
    const Work checking = work.phase("finishing a change", 0);
    for (const Change::File& file : change.files) check_file(state, file, checking);
    finish(state, change);
    return Recovery::completed;
  }
  if (!is_there(state.stage())) return Recovery::nothing;
  discard(state);
  return Recovery::discarded;
}

// rename() works only inside one file system.
void require_one_device(const StateFolder& state) {
  struct stat model {
  }, own{};
  if (::stat(state.model.c_str(), &model) != 0) fail_errno(state.model.string(), "stat");
  if (::lstat(state.root.c_str(), &own) != 0) fail_errno(state.root.string(), "stat");
  if (model.st_dev != own.st_dev) {
    fail(ErrorCode::invalid_argument, "{}: lies on another file system than the model",
         quote(state.root.string()));
  }
}

}  // namespace

Change Change::parse(std::string_view text, std::string_view subject) {
  const Json document = parse_json(text, {.bytes = kJournalLimit}, subject);
  const JsonObject object(document, std::string(subject));
  if (object.unsigned_integer("schema_version") != kVersion) {
    throw Error(ErrorCode::unsupported_version,
                fmt::format("{}: was written by another version of organ", quote(subject)),
                "finish the change with the organ that began it");
  }
  object.allow_only({"schema_version", "kind", "number", "files"});
  Change change;
  const std::string kind = object.string("kind");
  if (kind != "install" && kind != "uninstall") object.fail_field("kind", "is unknown");
  change.kind = kind == "install" ? Kind::install : Kind::uninstall;
  change.number = object.unsigned_integer("number", 999'999'999);
  for (const JsonObject& file : object.objects("files")) {
    file.allow_only({"path", "before", "after"});
    if (!is_safe_file_name(file.string("path"))) file.fail_field("path", "is not a safe file name");
    change.files.push_back({file.string("path"),
                            Digest::parse(file.string("before"), file.path() + ".before"),
                            Digest::parse(file.string("after"), file.path() + ".after")});
  }
  return change;
}

std::string Change::to_text() const {
  Json list = Json::array();
  for (const File& file : files) {
    list.push_back({{"path", file.path},
                    {"before", file.before.to_string()},
                    {"after", file.after.to_string()}});
  }
  return pretty_json({{"schema_version", kVersion},
                      {"kind", kind == Kind::install ? "install" : "uninstall"},
                      {"number", number},
                      {"files", list}});
}

Transaction::Transaction(const fs::path& model, const Work& work) : state_(model) {
  make_folder(state_.root);
  require_one_device(state_);
  lock_.emplace(state_.lock(), FileLock::Kind::exclusive, FileLock::kUsualWait, work);
  recovery_ = recover(state_, work);
  for (const fs::path& folder : {state_.receipts(), state_.undos(), state_.stage(),
                                 state_.staged_files(), state_.staged_undo()}) {
    make_folder(folder);
  }
}

Transaction::~Transaction() {
  try {
    if (!is_there(state_.journal())) discard(state_);
    remove_state_if_empty(state_);
  } catch (const std::exception&) {
    // The next command discards the stage: a stage without a journal means nothing.
  }
}

void Transaction::commit(const Change& change) {
  sync_folder(state_.staged_files());
  sync_folder(state_.staged_undo());
  sync_folder(state_.stage());
  sync_folder(state_.root);
  sync_folder(state_.model);  // makes .organ itself durable
  // Written in the stage first, so that no temporary name of it outlives a crash.
  write_file(state_.stage() / "journal", change.to_text());
  move(state_.stage() / "journal", state_.journal());
  sync_folder(state_.root);
  try {
    finish(state_, change);
  } catch (Error& error) {
    error.with_context("finishing a decided change; the next organ command finishes it");
    throw;
  }
}

Recovery recover_journal(const fs::path& model, const Work& work) {
  const StateFolder state(model);
  if (!state.exists() || (!is_there(state.journal()) && !is_there(state.stage()))) {
    return Recovery::nothing;
  }
  const FileLock lock(state.lock(), FileLock::Kind::exclusive, FileLock::kUsualWait, work);
  const Recovery recovery = recover(state, work);
  remove_state_if_empty(state);
  return recovery;
}

}  // namespace organ::transplant
