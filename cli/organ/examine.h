// SPDX-License-Identifier: Apache-2.0
// What `verify` and `ci` read: every byte, digest, number and signature of one organ.
#pragma once

#include <string>

#include "cli/organ/organ_argument.h"
#include "registry/registry.h"

namespace organ::cli {

// One item. Damage is a finding; throws io and cancelled.
registry::VerifyReport examine(const OrganArgument& organ, const registry::TrustOverride& trust,
                               const Work& work);

}  // namespace organ::cli
