// SPDX-License-Identifier: Apache-2.0
// When a user last read objects of a registry whole and found them right
// (read-memory.v1.schema.json). Kept outside of the registry, as what is known of its log is:
// whoever may write the registry must not be able to say it. A disk that changes bytes by itself
// changes none of this, so it counts for a time only, and whoever asks says for how long.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "format/base/digest.h"
#include "format/base/handle.h"
#include "format/base/progress.h"

namespace organ::registry {

// `contents` is the digest of all that is said of an object, and was found right. A value. Not
// thread-safe.
class ReadMemory {
 public:
  // Nothing is remembered nor kept.
  ReadMemory() = default;
  // Of the registry at `location` (absolute, without links), from a file in `folder`. One that is
  // absent, damaged or of another organ is as if nothing were remembered.
  ReadMemory(const std::filesystem::path& folder, const std::filesystem::path& location);

  // When it was read, in seconds since 1970; nothing when it never was, or is another file now.
  std::optional<std::uint64_t> last_read(const Digest& contents, const FileStamp& now) const;
  void keep(const Digest& contents, const FileStamp& state, std::uint64_t time);
  void forget(const Digest& contents);
  // Writes what was kept, less what is not in the registry any more: what keep() was not told of
  // and last_read() not asked for. What others wrote meanwhile stays; what was kept for a time not
  // behind one at which they found damage is left out. Beyond a million objects those read first
  // go. `now` in seconds since 1970. Throws io, conflict, cancelled.
  void save(std::uint64_t now, const Work& work = {}) const;
  // Forgets all of one registry: damage was found there. Throws io, cancelled.
  static void forget_all(const std::filesystem::path& folder, const std::filesystem::path& location,
                         std::uint64_t now, const Work& work = {});

  std::string to_text() const;

 private:
  struct Read {
    FileStamp state;
    std::uint64_t time = 0;
    mutable bool is_used = false;
    bool is_new = false;  // of this look
  };
  void load();
  void parse(std::string_view text);

  std::filesystem::path file_;
  std::string location_;
  std::map<Digest, Read> reads_;
  std::set<Digest> forgotten_;
  std::uint64_t forgotten_at_ = 0;  // when damage was last found by anybody
};

}  // namespace organ::registry
