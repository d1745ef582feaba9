// SPDX-License-Identifier: Apache-2.0
// What an installation changes: which tensors of which shards get which bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "format/checkpoint/checkpoint.h"
#include "format/organ/organ_source.h"
#include "transplant/receipt.h"

namespace organ::transplant {

// The new bytes of each shard that changes, by its index in Checkpoint::shards(); sources carry
// the recipient's tensor names and element types and borrow organ and checkpoint.
struct InstallPlan {
  std::map<std::size_t, std::vector<format::TensorSource>> writes;
  std::vector<Conversion> conversions;  // by layer, then as tensors stand in the organ's file
};

// The organ's layers take the place of the recipient's layers from `position` on. Expects an
// installable compatibility report; throws incompatible for a tensor without a counterpart, of
// another shape or a type that is not converted, or that the recipient has in two shards. Reads
// no weights: whoever reads the sources does, and gets what VerifiedFile::read throws.
InstallPlan plan_replacement(const format::OrganSource& organ, const format::Checkpoint& recipient,
                             std::uint64_t position);

}  // namespace organ::transplant
