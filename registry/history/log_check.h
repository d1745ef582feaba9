// SPDX-License-Identifier: Apache-2.0
// A registry's log as a whole: against its signed checkpoint, each entry against those before it,
// and against what this user remembers of it. No object is read.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "format/base/digest.h"
#include "format/organ/organ_source.h"
#include "registry/registry.h"

#pragma GCC visibility push(default)

namespace organ::registry {

// Nothing speaks against the log when `findings` is empty.
struct LogCheck {
  // What this user had seen before, proved by RFC 6962 to be the beginning of what there is.
  struct Remembered {
    std::string since;  // first use, RFC 3339 UTC
    // Of the newest tree that was seen.
    std::uint64_t entries = 0;
    Digest root;
    // The consistency proof (RFC 6962, 2.1.2) from that tree to the one of the checkpoint; empty
    // between equal trees and from the empty one.
    std::vector<Digest> proof;
  };

  // What a witness that the root names has left.
  struct Witness {
    std::string key;  // C2SP verifier key
    // How many it has cosigned, and when (seconds since 1970); 0 where that cannot be read.
    std::uint64_t entries = 0;
    std::uint64_t time = 0;
    std::string problem;  // why it does not count; empty: it does
  };

  std::string log_key;         // C2SP verifier key; empty when none is pinned
  std::uint64_t entries = 0;   // that were read: all of a sound log, else those before the damage
  std::uint64_t versions = 0;  // published by them
  Digest root;                 // that the checkpoint signs
  std::optional<LogRoot> speaks;  // who speaks for the log; nothing in a log that is damaged
  // Nothing where this log was not met before, or what was seen contradicts it (`findings`).
  std::optional<Remembered> remembered;
  // In the order of the root; those that have left nothing are not among them.
  std::vector<Witness> witnesses;
  std::uint64_t witnessed = 0;  // the first entries, which count: all where no witness has to
  // When the checkpoint was signed, in seconds since 1970; nothing: an older organ wrote no time.
  // The smallest age, in seconds, that somebody allows it; nothing: nobody says.
  std::optional<std::uint64_t> signed_at, max_age;
  std::vector<format::Finding>
      findings;  // corrupt: damage; untrusted: rollback, fork, freeze, another key
  std::vector<std::string> notes;  // sentences
};

// What is found is remembered when there is nothing against it. Damage of the log is a finding, and
// ends the look. Throws not_found, unsupported_version and invalid_argument (no registry), io,
// cancelled; corrupt and unsupported_version when the user's own memory of it cannot be read.
LogCheck check_log(const std::filesystem::path& registry, const OpenOptions& options = {},
                   const Work& work = {});

}  // namespace organ::registry

#pragma GCC visibility pop
