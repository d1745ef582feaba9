// SPDX-License-Identifier: Apache-2.0
#include "format/signature/signing.h"

#include <unistd.h>

#include <algorithm>
#include <map>

#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/base/path_status.h"
#include "format/organ/ignored_files.h"
#include "format/signature/internal/oms.h"

namespace organ::format {
namespace fs = std::filesystem;
namespace {

// The names and digests that a signature of this organ must cover, sorted by name.
std::map<std::string, Digest> covered_files(const OrganSource& organ) {
  std::map<std::string, Digest> files;
  files.emplace(kManifestFile, sha256(organ.manifest_text()));
  for (const FileEntry& file : organ.manifest().files) files.emplace(file.path, file.digest);
  return files;
}

void require_clean(const OrganFolder& organ, const Work& work, FiniteCheck* finite) {
  for (const std::string& name : organ.extra_files()) {
    if (is_unfinished_signature(name)) continue;  // goes before the signature comes
    fail(ErrorCode::invalid_argument, "{}: {} is not part of the organ and would stay unsigned{}",
         quote(organ.describe()), quote(name), left_by(name));
  }
  ContentOptions options;
  options.flat_digests = true;
  const auto findings = finite == nullptr ? verify_contents(organ, options, work)
                                          : verify_contents(organ, options, work, *finite);
  if (findings.empty()) {
    if (finite != nullptr) require_finite(*finite, organ.describe());
    return;
  }
  throw Error(findings[0].code, findings[0].subject + ": " + findings[0].message,
              fmt::format("{} findings; a damaged organ is not signed", findings.size()));
}

// Of signings that were ended by force. Another one that is under way loses its file and says so.
void remove_unfinished(const fs::path& folder) {
  for (const std::string& name : list_folder(folder)) {
    if (is_unfinished_signature(name)) ::unlink((folder / name).c_str());
  }
}

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

std::string sign_resources(std::string_view subject_name, std::vector<SignedResource> resources,
                           const SecretKey& key) {
  check(!resources.empty(), "nothing to sign");
  std::sort(resources.begin(), resources.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  std::string bundle =
      internal::sign_payload(internal::write_statement(subject_name, resources), key);
  verify_bundle(bundle, {key.public_key()},
                kSignatureFile);  // what we refuse to read we do not write
  return bundle;
}

void sign_folder(const OrganFolder& organ, const SecretKey& key, bool replace, const Work& work,
                 FiniteCheck* finite) {
  const fs::path path = organ.folder() / kSignatureFile;
  if (!replace && is_taken(path)) {
    throw Error(ErrorCode::already_exists, fmt::format("{}: already exists", quote(path.string())),
                "--replace writes a new signature over it");
  }
  require_clean(organ, work, finite);
  std::vector<SignedResource> resources;
  for (const auto& [name, digest] : covered_files(organ)) resources.push_back({name, digest});
  std::string subject_name = real_path(organ.folder()).filename().string();
  remove_unfinished(organ.folder());
  write_file(path, sign_resources(subject_name, std::move(resources), key),
             replace ? AtomicFile::Mode::replace : AtomicFile::Mode::create_new);
}

SignedStatement verify_bundle(std::string_view bundle, const std::vector<PublicKey>& keys,
                              std::string_view subject) {
  const internal::Envelope envelope = internal::open_bundle(bundle, keys, subject);
  SignedStatement statement = internal::parse_statement(envelope.payload, subject);
  statement.key = envelope.hint;
  return statement;
}

SignedStatement read_bundle(std::string_view bundle, std::string_view subject) {
  const internal::Envelope envelope = internal::parse_bundle(bundle, subject);
  SignedStatement statement = internal::parse_statement(envelope.payload, subject);
  statement.key = envelope.hint;
  return statement;
}

std::vector<Finding> compare_statement(const SignedStatement& statement, const OrganSource& organ) {
  std::vector<Finding> findings;
  const auto add = [&](std::string_view name, std::string message) {
    findings.push_back({ErrorCode::untrusted, escape_text(name), std::move(message)});
  };
  std::map<std::string, Digest> expected = covered_files(organ);
  for (const SignedResource& resource : statement.resources) {
    const auto found = expected.find(resource.name);
    if (found == expected.end()) {
      add(resource.name, "is signed but not part of the organ");
      continue;
    }
    if (found->second != resource.digest) {
      add(resource.name, fmt::format("has digest {} but {} was signed", found->second.hex(),
                                     resource.digest.hex()));
    }
    expected.erase(found);
  }
  for (const auto& [name, digest] : expected) {
    add(name, "is part of the organ but the signature does not cover it");
  }
  for (const std::string& name : organ.extra_files()) {
    add(name, "lies in the folder but is neither part of the organ nor signed" + left_by(name));
  }
  return findings;
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
