// SPDX-License-Identifier: Apache-2.0
// What `verify` and `ci` read: every byte, digest, number and signature of one organ.
#pragma once

#include <string>

#include "cli/organ/organ_argument.h"
#include "registry/registry.h"

namespace organ::cli {

// One item. Damage is a finding; throws io and cancelled.
// Of a version the registry reads it; of a folder it is read here, and trust is judged by
// judge_origin. Contents that are left out on purpose (manifest alone) are a note too.
registry::VerifyReport examine(const OrganArgument& organ, const registry::TrustOverride& trust,
                               const Work& work);

}  // namespace organ::cli
