// SPDX-License-Identifier: Apache-2.0
// The ZIP files that torch.save writes: members stored as they are, one behind the other from byte
// 0 to the central directory. Everything else that ZIP allows is refused: another reader could see
// other members in it. Source: PKWARE APPNOTE 6.3.10, sections 4.3 to 4.5.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "format/base/progress.h"

namespace organ::format::internal {

struct ZipMember {
  std::uint64_t begin = 0;  // of its bytes in the file
  std::uint64_t size = 0;
  std::uint32_t crc = 0;
};

// At most 262,144 members, whose directory has 64 MiB; a name has 512 bytes of printable ASCII and
// no part that is empty, "." or "..". No two differ by the case of their letters only.
struct ZipArchive {
  std::map<std::string, ZipMember, std::less<>> members;
};

// As torch compares the names of members, which are ASCII: whatever the case of their letters.
std::string lower_case(std::string_view name);

// Reads the directory of an open file, and the header in front of each member. Throws corrupt (a
// member that is compressed, encrypted, named twice or like a path out of the archive, that
// overlaps another or whose two headers differ; bytes that belong to no member; a limit passed),
// io.
ZipArchive read_zip(int fd, std::string_view subject);

// Reads a member of read_zip() and compares its checksum; read_zip() itself compares none. Throws
// corrupt, io, cancelled; `work` is told of its bytes.
void check_member(int fd, std::string_view name, const ZipMember& member, std::string_view subject,
                  const Work& work);

}  // namespace organ::format::internal
