// SPDX-License-Identifier: Apache-2.0
// Signed folders that are no organs: the files of any model, as model_signing lists them.
#include <algorithm>
#include <map>

#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/base/path_status.h"
#include "format/organ/ignored_files.h"
#include "format/signature/internal/oms.h"
#include "format/signature/signing.h"

namespace organ::format {
namespace fs = std::filesystem;
namespace {

// Every regular file below `folder` that no default or signed ignore rule leaves out. Symlinks,
// FIFOs and devices become findings.
struct FolderWalk {
  const fs::path& folder;
  const SignedStatement& statement;
  std::vector<std::string> names;
  std::vector<Finding> findings;

  bool ignored(const std::string& name) const {
    if (is_ignored_by_default(name)) return true;
    return std::any_of(
        statement.ignore_paths.begin(), statement.ignore_paths.end(),
        [&](const std::string& path) { return internal::ignore_covers(path, name); });
  }

  void run() {
    std::vector<std::string> pending = {""};
    while (!pending.empty()) {
      const std::string prefix = std::move(pending.back());
      pending.pop_back();
      for (const std::string& entry : list_folder(folder / prefix)) {
        const std::string name = prefix + entry;
        if (ignored(name)) continue;
        const PathStatus status = path_status(folder / name, Symlinks::refuse);
        if (status == PathStatus::folder) {
          pending.push_back(name + "/");
        } else if (status == PathStatus::file) {
          names.push_back(name);
        } else {
          findings.push_back({ErrorCode::corrupt, escape_text(name), "is not a regular file"});
        }
      }
    }
    std::sort(names.begin(), names.end());
  }
};

// Flat digests of files, some of them open at a time.
std::vector<Digest> hash_files(const fs::path& folder, const std::vector<std::string>& names,
                               const Work& work) {
  constexpr std::size_t kBatch = 64;
  std::uint64_t bytes = 0;
  for (const std::string& name : names) bytes += size_of_file(folder / name);
  const Work verifying = work.phase("verifying", bytes);
  std::vector<Digest> digests;
  for (std::size_t at = 0; at < names.size(); at += kBatch) {
    std::vector<UniqueFd> files;
    std::vector<HashRange> ranges;
    for (std::size_t i = at; i < std::min(names.size(), at + kBatch); ++i) {
      files.push_back(open_regular(folder / names[i], Symlinks::refuse));
      ranges.push_back({files.back().get(), 0, file_size(files.back().get(), names[i])});
    }
    const auto batch = hash_ranges(ranges, folder.string(), verifying);
    digests.insert(digests.end(), batch.begin(), batch.end());
  }
  return digests;
}

}  // namespace

std::vector<SignedResource> resources_of_model(const fs::path& folder, const Work& work) {
  const SignedStatement nothing_ignored;
  FolderWalk walk{folder, nothing_ignored, {}, {}};
  walk.run();
  if (!walk.findings.empty()) {
    fail(ErrorCode::invalid_argument, "{}: {} {}", quote(folder.string()),
         quote(walk.findings[0].subject), walk.findings[0].message);
  }
  if (walk.names.empty()) {
    fail(ErrorCode::invalid_argument, "{}: holds no file to sign", quote(folder.string()));
  }
  const std::vector<Digest> digests = hash_files(folder, walk.names, work);
  std::vector<SignedResource> resources;
  for (std::size_t i = 0; i < digests.size(); ++i) {
    resources.push_back({walk.names[i], digests[i]});
  }
  return resources;
}

std::vector<Finding> verify_model_folder(const fs::path& folder, const SignedStatement& statement,
                                         const Work& work) {
  FolderWalk walk{folder, statement, {}, {}};
  walk.run();
  const std::vector<Digest> digests = hash_files(folder, walk.names, work);
  std::map<std::string, Digest> expected;
  for (const auto& resource : statement.resources) {
    expected.emplace(resource.name, resource.digest);
  }
  std::vector<Finding> findings = std::move(walk.findings);
  for (std::size_t i = 0; i < walk.names.size(); ++i) {
    const std::string shown = escape_text(walk.names[i]);
    const auto found = expected.find(walk.names[i]);
    if (found == expected.end()) {
      findings.push_back({ErrorCode::untrusted, shown, "is not covered by the signature"});
      continue;
    }
    if (found->second != digests[i]) {
      findings.push_back(
          {ErrorCode::corrupt, shown,
           fmt::format("has digest {} but {} was signed", digests[i].hex(), found->second.hex())});
    }
    expected.erase(found);
  }
  for (const auto& [name, digest] : expected) {
    findings.push_back({ErrorCode::corrupt, escape_text(name), "is signed but missing"});
  }
  return findings;
}

}  // namespace organ::format
