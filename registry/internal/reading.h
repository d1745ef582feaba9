// SPDX-License-Identifier: Apache-2.0
// What one look at a registry reads: each object once, and those not that were read lately.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "format/organ/organ_source.h"
#include "registry/blobs/blob_store.h"
#include "registry/blobs/read_memory.h"
#include "registry/registry.h"

namespace organ::registry {

// What was read in one run, and what is taken for read from runs before. Borrows the store. Not
// thread-safe.
class Reading {
 public:
  // Reads everything, each object once.
  explicit Reading(const BlobStore& blobs) : blobs_(&blobs) {}
  // Does not read what was read within `after` seconds before `now` (since 1970), as the folder
  // `memory` says, and is the same file still; without `after` all is read. `memory` empty: nothing
  // is remembered. `location` of the registry: absolute, without links.
  Reading(const BlobStore& blobs, const std::filesystem::path& memory,
          const std::filesystem::path& location, std::uint64_t now,
          std::optional<std::uint64_t> after);

  std::uint64_t bytes = 0, bytes_before = 0;  // as VerifyReport
  std::vector<BlobRef> seen;                  // every object that something refers to

  // Why what was read is not remembered; empty: it is, or was not to be.
  // Throws cancelled.
  std::string remember(const Work& work) const;

 private:
  friend class UnreadOrgan;
  struct Known {
    FileStamp state;
    std::optional<std::uint64_t> before;  // when; nothing: in this run
  };
  // Nothing: it has to be read. `contents`: digest of all that organ.json says of a file but its
  // path.
  std::optional<Known> known(const Digest& contents, const FileStamp& state) const;
  // It was read now and found right, in this state.
  void keep(const Digest& contents, const FileStamp& state);

  const BlobStore* blobs_;
  ReadMemory memory_;
  std::uint64_t now_ = 0;
  std::optional<std::uint64_t> not_before_;  // what was read earlier does not count
  std::map<Digest, FileStamp> read_;         // in this run
  std::set<Digest> taken_for_read_;          // whose bytes are counted
};

// An organ of the registry whose files have passed() as far as they were read: verify_contents()
// reads the others only. Borrows all it is given.
class UnreadOrgan final : public format::OrganSource {
 public:
  // Adds to `reading` the bytes that are taken for read.
  UnreadOrgan(const format::OrganSource& organ, Reading& reading);

  // To be told after verify_contents(): whether nothing was found wrong in what was read now. If so
  // it is kept, less what was written meanwhile; else all of that is forgotten.
  void keep(bool is_sound);
  // Of what was not read now, when the first was, as RFC 3339 in UTC; nothing: all was read in this
  // run.
  std::optional<std::string> read_since() const;

  const format::Manifest& manifest() const override { return organ_.manifest(); }
  const std::string& manifest_text() const override { return organ_.manifest_text(); }
  UniqueFd open(const format::FileEntry& file) const override { return organ_.open(file); }
  const format::PassedFile* passed(const format::FileEntry& file) const override;
  std::vector<std::string> signature_bundles() const override { return organ_.signature_bundles(); }
  std::vector<std::string> extra_files() const override { return organ_.extra_files(); }
  std::string describe() const override { return organ_.describe(); }

 private:
  struct Unread {
    const format::FileEntry* file;
    Digest contents;
    FileStamp state;
  };
  const format::OrganSource& organ_;
  Reading& reading_;
  format::PassedFile sound_;      // what is known to be right has no number that is none
  std::set<std::string> passed_;  // paths
  std::vector<Unread> unread_;
  std::optional<std::uint64_t> since_;
};

}  // namespace organ::registry
