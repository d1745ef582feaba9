// SPDX-License-Identifier: Apache-2.0
// organ/quarantine: removed/HEX, objects that gc took away; damaged/HEX.HEX16, what lay under an
// object's name and had other bytes (the second word begins the digest of as many as the object
// has; -SIZE: there are more; `unreadable`; otherN: no file); damaged-log.HEX16.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "registry/blobs/blob_store.h"
#include "registry/care/gc_protocol.h"
#include "registry/registry_paths.h"

namespace organ::registry {

// A value that knows where it lies. Holders of the registry's lock use it: shared to add what was
// damaged, alone to take away.
class Quarantine {
 public:
  // Throws corrupt when one of its folders is a link or no folder, as all others do.
  explicit Quarantine(const RegistryPaths& paths);

  // Everything in both folders.
  std::vector<GcThing> things() const;
  // Where bytes of an object may lie, those of gc first.
  std::vector<std::filesystem::path> copies_of(const Digest& digest) const;

  // Deletes every copy of an object that lies here, damaged ones too; how many, and their bytes are
  // added to `bytes`.
  std::uint64_t forget(const Digest& digest, std::uint64_t& bytes) const;

  // Moves an object here. One of its name that is here already gives way, a folder to HEX.otherN.
  void set_aside(const Digest& digest) const;
  // Keeps what lies under the object's name, whatever it is, durably, before something else gets
  // the name; a file stays there until then. False when nothing lies there, or the object itself
  // does. Of a file that is longer than the object no more is read than the object has.
  bool keep_damaged(const Digest& digest, std::uint64_t size) const;

  // Keeps the log as it is, durably, before another one gets its name.
  void keep_log() const;

  void sync() const;

 private:
  void require_own() const;
  std::filesystem::path log_, folder_, removed_, damaged_;
  BlobStore blobs_;
};

}  // namespace organ::registry
