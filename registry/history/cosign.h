// SPDX-License-Identifier: Apache-2.0
// What a witness does: it vouches, with its own key and the time, that the newest checkpoint of a
// log goes on from the one that it saw last (c2sp.org/tlog-cosignature). What it saw is remembered
// outside of the registry, twice: as for every user by the registry's place (KnownLogs), and by the
// log's origin, wherever copies of it lie: the note that was cosigned last. The latter nobody makes
// forget.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "registry/notes/note_signer.h"
#include "registry/registry.h"

namespace organ::registry {

// What the user sees of a registry now, compared with what was seen before and remembered. Throws
// untrusted (rollback, fork, another registry), io when it could not be remembered,
// invalid_argument when nothing is.
struct MetLog {
  std::vector<std::string> witnesses;  // that any of its roots names
  std::uint64_t entries = 0;
  std::vector<std::string> notes;  // sentences
};
MetLog meet_as_witness(const std::filesystem::path& registry, const OpenOptions& options);

// What a witness has just vouched for.
struct NewCosignature {
  std::uint64_t entries = 0;
  std::uint64_t time = 0;  // seconds since 1970
  std::string note;        // the checkpoint with the log's signatures and this one
};
// Meets the registry, then signs its checkpoint with `key`, known as `name`. What was cosigned is
// remembered before anybody sees the signature. Throws also untrusted when it does not go on from
// what was cosigned of this log before, or another witness has cosigned another history of it;
// conflict when the log grows too fast.
NewCosignature cosign(const std::filesystem::path& registry, const OpenOptions& options,
                      const NoteSigner& key, const std::string& name);

// Puts a note into the registry for every witness of one of its roots that has cosigned it, and
// neither a larger one that is there, nor the same one later; returns these. Throws untrusted when
// none has cosigned it, or it is not the beginning of the log; conflict when all have cosigned more
// since; io.
std::vector<std::string> keep_cosignature(const std::filesystem::path& registry,
                                          const std::string& note);

}  // namespace organ::registry
