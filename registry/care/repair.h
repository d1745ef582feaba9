// SPDX-License-Identifier: Apache-2.0
// Mending damaged objects from wherever the same bytes are: nothing is believed, every piece and
// then the whole is hashed before it takes the object's name.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "registry/care/damage.h"
#include "registry/http/remote_options.h"
#include "registry/registry.h"

#pragma GCC visibility push(default)

namespace organ::registry {

struct RepairOptions {
  // Registry folders, organ folders, oci://HOST/REPOSITORY, in the order in which they are asked.
  // What is still right of the object itself, what its version's organ.json says and the registry's
  // quarantine come before them.
  std::vector<std::string> sources;
  // Reads all that mending would read; takes no lock of the registry and writes nothing there. What
  // was read before is forgotten all the same when there is damage (OpenOptions::read_memory).
  bool dry_run = false;
  RemoteOptions remote;  // for sources that are oci://
  // Told of each object, and of the log, that was mended for good; by the thread that called
  // repair(). Not called in a dry run.
  std::function<void()> changed = nullptr;
};

// Sizes in bytes.
struct MendedObject {
  DamagedObject object;
  // Where its bytes came from and how many, by the source's name: "itself" for pieces of it that
  // were right, "the quarantine", "its organ.json", or one of RepairOptions::sources.
  std::vector<std::pair<std::string, std::uint64_t>> taken;
};

// What repair() did, or would do, and what stays damaged: `left`.
struct RepairReport {
  // The registry folder that a damaged log was made whole from; empty: it was not damaged. A dry
  // run looks no further then: only a whole log says what objects there must be.
  std::string log_from;
  std::vector<MendedObject> mended;  // in a dry run: what would be
  // What could not be; `pieces` are those that nobody has.
  std::vector<DamagedObject> left;
  // NAME:VERSION of those that needed damaged objects, and of those that still do, in log order.
  std::vector<std::string> affected_before, affected_after;
  std::vector<std::string> notes;  // sentences, such as which sources did not answer and why
};

// The damaged object itself goes to organ/quarantine/damaged. Ended at any step each object is as
// it was or whole. Holds the registry's lock, shared. A damaged log is made whole from a source
// that is a registry folder, when that leads to the signed checkpoint that lies here. Throws
// not_found, invalid_argument (a source that is none), corrupt (a damaged log that no source has:
// nothing says then what has to be here), untrusted (another log than the user has seen), io,
// conflict, cancelled. A source that does not answer is a note.
RepairReport repair(const std::filesystem::path& folder, const RepairOptions& repair_options,
                    const OpenOptions& options = {}, const Work& work = {});

}  // namespace organ::registry

#pragma GCC visibility pop
