// SPDX-License-Identifier: Apache-2.0
// Putting an organ into a recipient, and taking it out again. Who may be trusted is decided
// before: the verdict comes in as a value and goes into the receipt.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "format/organ/organ_source.h"
#include "transplant/compatibility.h"
#include "transplant/journal.h"
#include "transplant/receipt.h"

#pragma GCC visibility push(default)

namespace organ::transplant {

// What to do with the organ. Layers are counted from 0.
struct InstallOptions {
  std::uint64_t position = 0;                // first recipient layer to replace
  std::optional<std::filesystem::path> out;  // build this new folder, leave the recipient alone
  // With `out`: share unchanged shards by hard link. Where none can be made (another file system)
  // they are copied.
  bool hard_link = false;
  TrustRecord trust;            // goes into the receipt as it is
  std::string source;           // the reference or folder name, for the receipt
  bool require_finite = false;  // refuse an organ with NaN or infinity
};

// What was done. Names are those of files in the model folder.
struct InstallOutcome {
  Receipt receipt;
  // In place: the newest installation had put this organ there and its shards are as it left them.
  // Nothing was changed, and `receipt` is that one's.
  bool already = false;
  CompatibilityReport compatibility;
  Recovery recovery = Recovery::nothing;  // what an earlier crash had left in the folder
  std::filesystem::path folder;           // where the organ now is
  std::vector<std::string> left_out;      // with `out`: names of the recipient not carried over
  std::vector<std::string> not_followed;  // of these: links out of the model (trust_links_below)
  std::vector<std::string> stale;  // in place: files that still hold or sign the former weights
  // In place: shards that had other names (hard links). Those keep the former file, and an undo
  // does not join them again: then the disk holds equal bytes twice.
  std::vector<std::string> unlinked = {};
  // In place: attributes too long for the receipt, which an undo leaves as they then are.
  std::vector<std::string> not_recorded = {};
  std::uint64_t hard_links = 0;                  // unchanged shards shared that way
  std::vector<format::Finding> not_finite = {};  // tensors of the organ with NaN or infinity
};

// Replaces layer_count layers of the recipient from options.position on. The organ's contents are
// verified before anything is written and again while they are copied. In place the change is all
// or nothing (see journal.h); with `out` the new folder appears whole or not at all. Throws
// not_found (no such model, or only the manifest of the organ is at hand), incompatible (level not
// A, or more files than a receipt can list), corrupt (organ, recipient or an earlier receipt
// damaged), already_exists (`out`), conflict (folder locked, or the recipient changed meanwhile),
// invalid_argument (in place in a Hugging Face cache), io, cancelled. After an error the recipient
// is what it was, but that a change which an earlier crash left decided is finished first
// (recover_journal), whatever comes of this one.
InstallOutcome install_organ(const format::OrganSource& organ, const std::filesystem::path& model,
                             const InstallOptions& options, const Work& work = {});

// What was undone, and what is known of each file of its receipt since: a name is in one of
// `proved`, `changed`, `not_followed` and `unread`.
struct UninstallOutcome {
  Receipt undone;
  std::vector<Receipt> left;  // installations that are still there, oldest first
  Recovery recovery = Recovery::nothing;
  std::vector<std::string> proved;   // files with the SHA-256 they had before the installation
  std::vector<std::string> changed;  // files somebody else changed since; not touched
  // Not looked at and not touched: links that lead out of the model (trust_links_below).
  std::vector<std::string> not_followed;
  // Could not be read, so whether they are what they were is not known; not touched.
  std::vector<std::string> unread = {};
  // What the system did not let us restore: "model.safetensors: owner (user 1000, group 1000)".
  std::vector<std::string> not_given_back;
};

// Undoes the newest installation of the folder: changed shards get their former bytes, proved
// against the receipt before they replace anything. Throws not_found when there is no such folder
// or no organ is installed in it, invalid_argument for what is no folder, corrupt when a shard was
// changed since or the undo data is damaged (nothing is changed then), conflict, io, cancelled. The
// proof comes after the commit point: nothing cancels it or lets it fail, and it looks at the files
// of the receipt alone.
UninstallOutcome uninstall_organ(const std::filesystem::path& model, const Work& work = {});

}  // namespace organ::transplant

#pragma GCC visibility pop
