// SPDX-License-Identifier: Apache-2.0
// One object against its name, and against the digests that organ.json has of its pieces.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "format/base/handle.h"
#include "registry/care/damage.h"
#include "registry/care/store_walk.h"

namespace organ::registry {

// What lies under an object's name, of whatever size; nothing when it is no regular file, or cannot
// be opened: `unreadable` then says why. Throws io of this machine.
UniqueFd open_as_it_is(const std::filesystem::path& path, std::string* unreadable = nullptr);

// What organ.json says of a file; asked for only when the file is damaged. Nothing: not known.
using EntryOf = std::function<std::optional<format::FileEntry>()>;

// What is wrong with a file of an organ; nothing when it is whole. `pieces`
// then holds the digests of its pieces, when they are known. `work` is told of the bytes it should
// have. Throws io, cancelled.
std::optional<DamagedObject> check_file(const BlobStore& blobs, const ObjectUse& use,
                                        const EntryOf& entry_of, std::vector<Digest>& pieces,
                                        const Work& work);

// The same of a small object that was read already.
DamagedObject damage_of(const BlobStore& blobs, const ObjectUse& use, std::string why);

}  // namespace organ::registry
