// SPDX-License-Identifier: Apache-2.0
// What witnesses have cosigned of a log (c2sp.org/tlog-cosignature): for each one the file
// organ/witness/HEX, HEX the SHA-256 of its verifier key, which holds the checkpoint note that it
// cosigned last. Each replaces its own file alone. A witness that has cosigned a tree vouches for
// every tree that this one begins with.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "registry/log/facts.h"
#include "registry/log/log.h"

namespace organ::registry {

// `organ` is the registry's folder organ/, here as below. Neither needs to exist.
std::filesystem::path witness_folder(const std::filesystem::path& organ);
std::filesystem::path witness_file(const std::filesystem::path& organ,
                                   const std::string& verifier_key);

// What one witness left. It counts when nothing is the matter with it.
struct Cosigned {
  std::string witness;        // verifier key
  std::uint64_t entries = 0;  // of the checkpoint that it cosigned
  std::uint64_t time = 0;     // when, seconds since 1970
  std::string note;           // that checkpoint
  std::string problem;        // why it does not count: a sentence, or empty
  bool contradicts = false;   // it has seen another history of this log, or more of it
};

// Those of a root's witnesses, in its order; who left nothing is not among them. Where ages count,
// the root's max_age holds for the time of each cosignature too. Throws what reading the log
// throws.
enum class Ages { count, do_not };
std::vector<Cosigned> read_cosigned(const Log& log, const std::filesystem::path& organ,
                                    const LogRoot& root, std::uint64_t now,
                                    Ages ages = Ages::count);

// Throws untrusted unless this is a checkpoint of the log or of what it begins with, as far as
// `covered` goes, one of the log's own.
void require_beginning(const Log& log, const Checkpoint& checkpoint, const Checkpoint& covered);

// How many of the first entries as many of them have cosigned as `quorum` asks for; 0: too few
// have, UINT64_MAX: the quorum is 0. Those with a problem do not count.
std::uint64_t covered_entries(const std::vector<Cosigned>& cosigned, std::uint64_t quorum);

// What counts of a log: a root that asks for witnesses counts itself only when those of the root
// before it have cosigned its entry.
struct Witnessed {
  LogRoot root;
  std::uint64_t entries = UINT64_MAX;  // the first ones that count; UINT64_MAX: nobody has to
  std::vector<Cosigned> cosigned;      // by the witnesses of `root`
};
// `facts` are those of all entries of the log, `now` in seconds since 1970. Throws what reading the
// log throws.
Witnessed what_counts(const Log& log, const std::filesystem::path& organ, const LogFacts& facts,
                      std::uint64_t now);

}  // namespace organ::registry
