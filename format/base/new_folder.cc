// SPDX-License-Identifier: Apache-2.0
#include "format/base/new_folder.h"

#include <fcntl.h>

#include <algorithm>
#include <cstddef>
#include <string_view>
#include <system_error>

#include "format/base/fail.h"
#include "format/base/file_system.h"
#include "format/base/path_status.h"

namespace organ {
namespace fs = std::filesystem;
namespace {

using Names = std::vector<std::string>;

constexpr std::string_view kInside = ".unfinished";  // and a dot and random letters
constexpr std::size_t kSuffix = 11;                  // a dot and ten letters of TempFolder
constexpr char kLock[] = ".lock";

[[noreturn]] void fail_taken(const fs::path& target, std::string_view hint) {
  throw Error(ErrorCode::already_exists, fmt::format("{}: already exists", quote(target.string())),
              std::string(hint));
}

// The name is looked at before anything is made.
fs::path free_name(const fs::path& target) {
  fs::path path = place_of(target);
  if (is_taken(path)) fail_taken(target, "it is written as a new folder");
  return path;
}

// What TempFolder makes of kInside.
bool is_inside_name(std::string_view name) {
  constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyz0123456789";
  return name.size() == kInside.size() + kSuffix && name.starts_with(kInside) &&
         name[kInside.size()] == '.' &&
         name.substr(kInside.size() + 1).find_first_not_of(kLetters) == name.npos;
}

bool contains(const Names& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// The names of a folder without what mkfs put there.
Names names_in(const fs::path& folder) {
  Names names = list_folder(folder);
  std::erase(names, "lost+found");
  return names;
}

// Whether a folder is one that a killed process was filling: nothing else is ever removed.
bool was_filled(const fs::path& folder, const Names& entries) {
  if (path_status(folder, Symlinks::refuse) != PathStatus::folder) return false;
  const Names names = list_folder(folder);
  return std::all_of(names.begin(), names.end(), [&](const std::string& name) {
    const bool temporary = name.starts_with('.') && name.ends_with(".tmp");  // of an AtomicFile
    return name == kLock || temporary || contains(entries, name);
  });
}

// Whether all of these names are what a killed process left: what it was filling, and entries that
// had their places already, which they get only while the last one still lies there.
bool are_remains(const fs::path& folder, const Names& names, const Names& entries) {
  const bool moving = std::any_of(names.begin(), names.end(), [&](const std::string& name) {
    return is_inside_name(name) && is_taken(folder / name / entries.back());
  });
  return std::all_of(names.begin(), names.end(), [&](const std::string& name) {
    if (is_inside_name(name)) return was_filled(folder / name, entries);
    return moving && name != entries.back() && contains(entries, name);
  });
}

void remove_tree(const fs::path& path) {
  std::error_code error;
  fs::remove_all(path, error);
  if (error) fail(ErrorCode::io, "{}: remove failed: {}", quote(path.string()), error.message());
}

// Entries at their places first: while they are there, what says that they are remains is too.
void remove_remains(const fs::path& folder, const Names& names) {
  std::vector<FileLock> locks;  // conflict when somebody is still filling it
  for (const std::string& name : names) {
    if (is_inside_name(name)) {
      locks.emplace_back(folder / name / kLock, FileLock::Kind::exclusive, 0);
    }
  }
  for (const bool inside : {false, true}) {
    for (const std::string& name : names) {
      if (is_inside_name(name) == inside) remove_tree(folder / name);
    }
    sync_folder(folder);
  }
}

}  // namespace

NewFolder::NewFolder(const fs::path& target) : target_(free_name(target)) { begin_beside(); }

void NewFolder::begin_beside() {
  require_possible_name(target_);
  const fs::path folder = target_.parent_path();
  constexpr std::size_t kOthers = 1 + kInside.size() + kSuffix;
  const std::size_t longest = std::max(longest_name(folder), kOthers);
  temporary_.emplace(folder, "." + beginning_of(target_.filename().string(), longest - kOthers) +
                                 std::string(kInside));
}

NewFolder::NewFolder(const fs::path& target, Names entries) : target_(place_of(target)) {
  if (!is_taken(target_)) {
    begin_beside();
    return;
  }
  constexpr std::string_view kHint = "it is made in a new or an empty folder";
  if (path_status(target_, Symlinks::refuse) != PathStatus::folder) fail_taken(target, kHint);
  const Names names = names_in(target_);
  if (!are_remains(target_, names, entries)) fail_taken(target, kHint);
  remove_remains(target_, names);
  entries_ = std::move(entries);
  temporary_.emplace(target_, kInside);
  filling_.emplace(temporary_->path() / kLock, FileLock::Kind::exclusive, 0);
}

void NewFolder::no_wider_than(unsigned permissions) {
  const UniqueFd fd(::open(path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) fail_errno(target_.string(), "open");
  narrow_folder(fd.get(), permissions, target_.string());
}

void NewFolder::commit() {
  sync_folder(path());
  if (!entries_.empty()) return commit_inside();
  rename_to_new(path(), target_);
  temporary_->release();
  sync_folder(target_.parent_path());
}

void NewFolder::commit_inside() {
  // Of several that fill it at once the first one to move an entry goes on.
  const Names names = names_in(target_);
  if (!std::all_of(names.begin(), names.end(), is_inside_name)) {
    fail_taken(target_, "somebody else wrote into it meanwhile");
  }
  Names filled = entries_;
  filled.emplace_back(kLock);
  std::sort(filled.begin(), filled.end());
  check(list_folder(path()) == filled, "a new folder holds other entries than it was to hold");
  std::size_t moved = 0;
  try {
    for (; moved < entries_.size(); ++moved) {
      // Durable before the one that makes it whole; and before the first one what is being filled,
      // whose name says what the others are.
      if (moved == 0 || moved + 1 == entries_.size()) sync_folder(target_);
      rename_to_new(path() / entries_[moved], target_ / entries_[moved]);
    }
  } catch (const Error&) {
    std::error_code error;
    for (; moved > 0 && !error; --moved) {
      fs::rename(target_ / entries_[moved - 1], path() / entries_[moved - 1], error);
    }
    if (error) temporary_->release();  // the next one removes what is left, as after a kill
    throw;
  }
  sync_folder(target_);
  temporary_.reset();
  sync_folder(target_);
}

}  // namespace organ
