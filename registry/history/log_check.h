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

struct LogCheck {
  // What this user had seen before, proved by RFC 6962 to be the beginning of what there is.
  struct Remembered {
    std::string since;  // first use, RFC 3339 UTC
    std::uint64_t entries = 0;
    Digest root;
    std::vector<Digest> proof;
  };

  // What a witness that the root names has left.
  struct Witness {
    std::string key;  // C2SP verifier key
    std::uint64_t entries = 0;
    std::uint64_t time = 0;  // seconds since 1970
    std::string problem;     // why it does not count; empty: it does
  };

  std::string log_key;  // C2SP verifier key; empty when none is pinned
  std::uint64_t entries = 0;
  std::uint64_t versions = 0;     // published by them
  Digest root;                    // that the checkpoint signs
  std::optional<LogRoot> speaks;  // who speaks for the log; nothing in a log that is damaged
  std::optional<Remembered> remembered;
  std::vector<Witness> witnesses;
  std::uint64_t witnessed = 0;  // the first entries, which count: all where no witness has to
  // Of the checkpoint, seconds since 1970 and seconds; the smallest age that somebody allows.
  std::optional<std::uint64_t> signed_at, max_age;
  std::vector<format::Finding>
      findings;  // corrupt: damage; untrusted: rollback, fork, freeze, another key
  std::vector<std::string> notes;  // sentences
};

// What is found is remembered when there is nothing against it. Throws not_found, io, cancelled.
LogCheck check_log(const std::filesystem::path& registry, const OpenOptions& options = {},
                   const Work& work = {});

}  // namespace organ::registry

#pragma GCC visibility pop
