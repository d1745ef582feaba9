// SPDX-License-Identifier: Apache-2.0
#include "registry/internal/reading.h"

#include <algorithm>

#include "format/base/error.h"
#include "registry/log/moment.h"

namespace organ::registry {

Reading::Reading(const BlobStore& blobs, const RereadOptions& options,
                 const std::filesystem::path& location, std::uint64_t now)
    : blobs_(&blobs), now_(now) {
  if (!options.memory.empty()) memory_ = ReadMemory(options.memory, location);
  if (options.after) not_before_ = now - std::min(now, *options.after);
}

std::optional<Reading::Known> Reading::known(const Digest& contents, const FileState& state) const {
  const auto read = read_.find(contents);
  if (read != read_.end() && read->second == state) return Known{state, std::nullopt};
  const auto time = memory_.last_read(contents, state);
  // A time to come is of a clock that was wrong.
  if (time && not_before_ && *time >= *not_before_ && *time <= now_) return Known{state, time};
  return std::nullopt;
}

void Reading::keep(const Digest& contents, const FileState& state) {
  read_.insert_or_assign(contents, state);
  memory_.keep(contents, state, now_);
}

std::string Reading::remember() const {
  try {
    memory_.save();
  } catch (const Error& error) {
    return error.message();
  }
  return {};
}

UnreadOrgan::UnreadOrgan(const format::OrganSource& organ, Reading& reading)
    : organ_(organ), reading_(reading) {
  for (const format::FileEntry& file : organ.manifest().files) {
    const auto state = reading.blobs_->state(file.digest, file.size);
    if (!state) continue;  // verify_contents() says what is there
    const Digest contents = contents_of(file);
    if (const auto known = reading.known(contents, *state)) {
      passed_.insert(file.path);
      if (!known->before) continue;
      reading.bytes_before += file.size;
      since_ = std::min(since_.value_or(*known->before), *known->before);
    } else {
      unread_.push_back({&file, contents, *state});
      reading.bytes += file.size;
    }
  }
}

const format::PassedFile* UnreadOrgan::passed(const format::FileEntry& file) const {
  return passed_.contains(file.path) ? &sound_ : nullptr;
}

void UnreadOrgan::keep() {
  for (const Unread& one : unread_) {
    // Written while it was read: nobody knows what was.
    if (reading_.blobs_->state(one.file->digest, one.file->size) != one.state) continue;
    reading_.keep(one.contents, one.state);
  }
}

std::optional<std::string> UnreadOrgan::read_since() const {
  if (!since_) return std::nullopt;
  return moment_text(*since_);
}

}  // namespace organ::registry
