// SPDX-License-Identifier: Apache-2.0
// Where the parts of a registry folder lie, and what every way of opening one begins with.
#pragma once

#include <filesystem>
#include <optional>

#include "format/base/file.h"
#include "format/base/file_system.h"
#include "registry/log/log.h"
#include "registry/registry.h"
#include "registry/trust/known_logs.h"

namespace organ::registry {

// Bytes of oci-layout and policy.json that are read.
inline constexpr std::uint64_t kSmallFileLimit = std::uint64_t{1} << 20;
// Commits take milliseconds; this bounds a queue of very many publishers.
inline constexpr double kLockSeconds = 120;

// Paths below one registry folder, all of them made from `root`. None needs to exist.
struct RegistryPaths {
  std::filesystem::path root;
  std::filesystem::path organ() const { return root / "organ"; }
  // SQLite follows no link in a path: those above the registry are resolved, one below is refused.
  std::filesystem::path catalog() const { return without_links(root) / "organ" / "catalog.db"; }
  std::filesystem::path index() const { return root / "index.json"; }
  std::filesystem::path policy() const { return organ() / "policy.json"; }
  std::filesystem::path trust() const { return organ() / "trust"; }
  std::filesystem::path temporary() const { return without_links(root) / "organ" / "tmp"; }
  // What was found and does not belong there; nothing reads it but `organ repair`.
  std::filesystem::path quarantine() const { return organ() / "quarantine"; }
  // Files of interrupted pulls.
  std::filesystem::path partial() const { return organ() / "partial"; }
  // Shared by everybody who adds or reads objects, exclusive for deleting them.
  std::filesystem::path store_lock() const { return organ() / "lock"; }
  // Held, shared, while `lock` is asked for: who wants that alone takes this first, and gets a
  // turn.
  std::filesystem::path store_gate() const { return organ() / "lock.gate"; }
  // Exclusive while log, checkpoint, catalog and index change; shared to see them all at rest.
  std::filesystem::path write_lock() const { return organ() / "write.lock"; }
};

// The registry's lock for who adds objects, or relies on those that are there, until the entry that
// refers to them. A holder may ask for it again.
FileLock share_store(const RegistryPaths& paths, const Work& work);
// The same alone, to take objects away. Throws conflict when others hold it for minutes.
FileLock own_store(const RegistryPaths& paths, const Work& work);

// Throws not_found when the folder is no registry, unsupported_version, invalid_argument for an
// empty path.
RegistryPaths find_registry(const std::filesystem::path& folder);

// What this user has seen of the registry, compared with its log; nothing is remembered without a
// place. Before anything is written. Throws untrusted for another key than options.log_key, and
// what KnownLogs::meet does.
std::optional<KnownLogs::Met> meet(const RegistryPaths& paths, const Log& log,
                                   const OpenOptions& options);

}  // namespace organ::registry
