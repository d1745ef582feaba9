// SPDX-License-Identifier: Apache-2.0
// What .organ/journal holds while a change of a model folder is decided but not finished.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "format/base/digest.h"
#include "transplant/receipt.h"

namespace organ::transplant {

// Bytes of a journal at most. It says less of each file than the receipt does.
constexpr std::uint64_t kJournalLimit = kReceiptLimit;

// What the journal says. `files` lie in stage/files until they are renamed over the model's.
struct Change {
  enum class Kind { install, uninstall };
  // A file that is replaced, with the digests of all its bytes: which of the two a file of the
  // model has tells, after a crash, whether it was renamed already.
  struct File {
    std::string path;  // a safe file name in the model folder
    Digest before;     // of what lies there
    Digest after;      // of what comes from stage/files
  };
  Kind kind = Kind::install;
  std::uint64_t number = 0;  // of the receipt that is added or taken away
  std::vector<File> files;

  // Throws corrupt or unsupported_version (another schema_version, older or newer).
  static Change parse(std::string_view text, std::string_view subject);
  std::string to_text() const;  // indented JSON; checks nothing
};

}  // namespace organ::transplant
