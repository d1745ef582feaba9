// SPDX-License-Identifier: Apache-2.0
#include "registry/internal/reading.h"

#include <algorithm>

#include <fmt/core.h>

#include "format/base/error.h"
#include "registry/internal/registry_impl.h"
#include "registry/log/moment.h"

namespace organ::registry {
namespace {

// Of all that organ.json says of a file but its name: what was found right of one version is right
// of every other one that says the same.
Digest contents_of(const format::FileEntry& file) {
  std::string text = fmt::format("{} {} {} {}\n", to_string(file.role), file.size,
                                 file.digest.hex(), file.data_start);
  for (const Digest& chunk : file.chunks) text += chunk.hex() + "\n";
  for (std::size_t i = 0; i < file.tensors.size(); ++i) {
    const format::TensorInfo& tensor = file.tensors[i];
    text += fmt::format("{} {} {} {} {} {} {}\n", file.tensor_digests[i].hex(), tensor.offset,
                        tensor.size, to_string(tensor.dtype), format::to_string(tensor.shape),
                        tensor.name.size(), tensor.name);
  }
  return sha256(text);
}

}  // namespace

Reading::Reading(const BlobStore& blobs, const std::filesystem::path& memory,
                 const std::filesystem::path& location, std::uint64_t now,
                 std::optional<std::uint64_t> after)
    : blobs_(&blobs), now_(now) {
  if (!memory.empty()) memory_ = ReadMemory(memory, location);
  if (after) not_before_ = now - std::min(now, *after);
}

std::optional<Reading::Known> Reading::known(const Digest& contents, const FileStamp& state) const {
  const auto read = read_.find(contents);
  if (read != read_.end() && read->second == state) return Known{state, std::nullopt};
  const auto time = memory_.last_read(contents, state);
  // A time to come is of a clock that was wrong.
  if (time && not_before_ && *time >= *not_before_ && *time <= now_) return Known{state, time};
  return std::nullopt;
}

void Reading::keep(const Digest& contents, const FileStamp& state) {
  read_.insert_or_assign(contents, state);
  memory_.keep(contents, state, now_);
}

std::string Reading::remember(const Work& work) const {
  try {
    memory_.save(seconds_now(), work);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::cancelled) throw;
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
      if (reading.taken_for_read_.insert(contents).second) reading.bytes_before += file.size;
      since_ = std::min(since_.value_or(*known->before), *known->before);
    } else {
      unread_.push_back({&file, contents, *state});
    }
  }
}

const format::PassedFile* UnreadOrgan::passed(const format::FileEntry& file) const {
  return passed_.contains(file.path) ? &sound_ : nullptr;
}

void UnreadOrgan::keep(bool is_sound) {
  for (const Unread& one : unread_) {
    if (!is_sound) {  // which of them it is nobody asks: all are read next time
      reading_.memory_.forget(one.contents);
      continue;
    }
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
