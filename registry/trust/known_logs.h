// SPDX-License-Identifier: Apache-2.0
// What one user has seen of registries, kept outside of them: the log's key, its newest checkpoint
// and what its entries added up to. Whoever may write a registry can replace all of it, but not
// this (the threat model of schemas/registry.md). One file for each registry, by its location.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "registry/log/facts.h"
#include "registry/log/log.h"

namespace organ::registry {

// What is remembered of one registry: known-registry.v1.schema.json. A value.
struct KnownLog {
  std::string location;                  // of the registry's folder: absolute, without links
  std::string log_key;                   // C2SP verifier key
  std::string since;                     // first use, RFC 3339 UTC
  std::string checkpoint;                // the newest signed note that was seen: evidence
  LogPosition end;                       // behind the last entry that it covers
  LogFacts facts;                        // of the entries before `end`
  std::optional<std::uint64_t> max_age;  // seconds: the user reads no state that is older

  // JSON on several lines.
  std::string to_text() const;
  // Throws corrupt naming `subject`, unsupported_version.
  static KnownLog parse(std::string_view text, std::string_view subject);
};

// The memory of one user in a folder: files HEX.json, HEX the SHA-256 of the registry's location,
// mode 0600. Writing is locked against other processes, reading needs no lock.
class KnownLogs {
 public:
  explicit KnownLogs(std::filesystem::path folder) : folder_(std::move(folder)) {}

  // Whether what is remembered counts, or is as good as absent.
  enum class Before { counts, forget };
  struct Met {
    KnownLog known;  // up to now
    bool first_use = false;
    std::vector<std::string> news;  // of who speaks for the log, since then; sentences
    bool is_new = false;            // more than what is remembered
    Before before = Before::counts;
    std::string former = {};  // the checkpoint that is remembered
  };
  // Compares a registry with what is known of it: another key too is good when roots that follow
  // the known one lead to it. Throws untrusted when they do not, or its history is not the one that
  // was seen (rollback, fork), what add_facts throws, corrupt for a damaged file of its own.
  // `forget`: it is met as if for the first time; only the user's limit stays. Writes nothing.
  Met meet(const Log& log, const std::filesystem::path& location, const std::string& time,
           Before before = Before::counts) const;
  // Remembers it, once nothing else is against it. What another process has remembered meanwhile is
  // compared once more; throws untrusted as above. Why it could not be remembered; empty: it is, or
  // nothing is new.
  std::string keep(const Log& log, Met& met) const;

  // What is remembered of the registry at this place, or of any whose log has this key, or had it
  // before. Nothing is compared. Throws corrupt, unsupported_version; of others' memories that
  // cannot be read only when none that can is of this key.
  std::optional<KnownLog> recall(const std::filesystem::path& location) const;
  std::optional<KnownLog> with_key(const std::string& log_key) const;

  // Sets the user's limit, nothing: none. Throws not_found when the registry was never met.
  void limit_age(const std::filesystem::path& location, std::optional<std::uint64_t> max_age) const;

 private:
  std::filesystem::path file_of(const std::filesystem::path& location) const;
  std::optional<std::uint64_t> kept_limit(const std::filesystem::path& location) const;
  void save(const KnownLog& known) const;

  std::filesystem::path folder_;
};

}  // namespace organ::registry
