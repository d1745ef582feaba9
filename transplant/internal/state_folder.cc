// SPDX-License-Identifier: Apache-2.0
#include "transplant/internal/state_folder.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/base/path_status.h"

namespace organ::transplant {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kDigits = 4;

// Folders below .organ: stage/files, undo/0001.
constexpr int kDeepest = 2;

std::string four_digits(std::uint64_t number) { return fmt::format("{:04}", number); }

// 0001.json → 1; 0 for any other name.
std::uint64_t number_of(const std::string& name) {
  const std::size_t dot = name.find('.');
  if (dot < kDigits || dot > 9 || name.substr(dot) != ".json") return 0;
  std::uint64_t number = 0;
  for (const char c : name.substr(0, dot)) {
    if (c < '0' || c > '9') return 0;
    number = number * 10 + static_cast<std::uint64_t>(c - '0');
  }
  return four_digits(number) + ".json" == name ? number : 0;
}

}  // namespace

fs::path StateFolder::receipt(std::uint64_t number) const {
  return receipts() / (four_digits(number) + ".json");
}

fs::path StateFolder::undo(std::uint64_t number) const { return undos() / four_digits(number); }

bool StateFolder::exists() const { return open().has_value(); }

// Another command may take the folder away, or things in it, between any two looks at it.
std::optional<FolderFd> StateFolder::open() const {
  constexpr int kLooks = 100;
  for (int look = 1;; ++look) {
    struct stat info {};
    if (::lstat(root.c_str(), &info) != 0) {
      if (errno == ENOENT || errno == ENOTDIR) return std::nullopt;
      fail_errno(root.string(), "stat");
    }
    try {
      FolderFd own = FolderFd(model).below(root.filename());
      own.require_plain(kDeepest);
      return own;
    } catch (const Error& error) {
      if (error.code() != ErrorCode::not_found || look == kLooks) throw;
    }
  }
}

Pending StateFolder::pending() const {
  const auto own = open();
  if (!own) return Pending::nothing;
  if (own->has(journal().filename())) return Pending::decided;
  return own->has(stage().filename()) ? Pending::undecided : Pending::nothing;
}

std::vector<std::uint64_t> StateFolder::receipt_numbers() const {
  std::vector<std::uint64_t> numbers;
  if (!exists() || !is_there(receipts())) return numbers;
  for (const std::string& name : list_folder(receipts())) {
    const std::uint64_t number = number_of(name);
    if (number != 0) numbers.push_back(number);
  }
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

void StateFolder::make(const fs::path& folder) const {
  FolderFd at(model);
  for (const fs::path& name : folder.lexically_relative(model)) at = at.make_below(name);
}

FileLock StateFolder::take_lock(const Work& work) const {
  FolderFd(model).below(root.filename()).make_file(lock().filename());
  return {lock(), FileLock::Kind::exclusive, FileLock::kUsualWait, work};
}

std::optional<FileLock> StateFolder::take_lock_of_rest(const Work& work) const {
  try {
    return take_lock(work);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::not_found && !exists()) return std::nullopt;
    throw;
  }
}

void StateFolder::write(const fs::path& path, std::string_view text) const {
  AtomicFile file(path);
  FolderFd(path.parent_path()).give_to_owner(file.fd(), path.string());
  file.write(text);
  file.commit();
}

}  // namespace organ::transplant
