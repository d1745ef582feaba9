// SPDX-License-Identifier: Apache-2.0
// What protects a segment's blocks: the sums that say which are lost, twice, and the parity that
// gives them back (schemas/archive.md, Sums and Parity).
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "format/base/progress.h"
#include "registry/archive/container/segment_head.h"

namespace organ::archive {

// Reads the protected blocks of a segment back and writes its sums, its parity and its sums again.
// `fd` may be read and written; head, tail and sync are the caller's. Holds 8 bytes a block, and
// with parity 4 MiB for each parity block of a group. Tells `work` the bytes that it reads. Throws
// io, cancelled.
void write_protection(int fd, const SegmentHead& head, std::string_view subject, const Work& work);

// The blocks of a segment that are not what was written. Numbers of `blocks` count from the
// segment's payload, of parity from its parity.
struct SegmentDamage {
  LostBlocks blocks;
  // Blocks of the sums, of the first or the second copy, that differ from the other one or are not
  // there: numbers of blocks in the file.
  std::vector<std::uint64_t> sums;

  bool is_none() const { return blocks.data.empty() && blocks.parity.empty() && sums.empty(); }
};

// Reads the whole segment. A block is whole when one of its two sums is its own; one that lies
// behind the end of the file, or that the medium does not give, is lost. Tells `work` the bytes of
// the protected blocks and of the parity. Throws cancelled.
SegmentDamage find_damage(int fd, const SegmentHead& head, std::string_view subject,
                          const Work& work);

// Gives back the lost blocks in place, as far as the parity reaches, then sums and parity, and
// returns those that could not be (numbers as SegmentDamage has them). The file becomes as long as
// the segment asks. Where a block is left, sums and parity stay as they are. Sync is the caller's.
// Throws io, cancelled.
std::vector<std::uint64_t> repair_segment(int fd, const SegmentHead& head,
                                          const SegmentDamage& damage, std::string_view subject,
                                          const Work& work);

}  // namespace organ::archive
