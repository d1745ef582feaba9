// SPDX-License-Identifier: Apache-2.0
// Which rule applies to an organ, and which of its keys still count: for who signed it and for who
// states something of it alike.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "registry/trust/policy.h"

namespace organ::registry {

// Given keys replace those of the rule, not how many of them must have signed.
PolicyRule applicable(const Policy& policy, std::string_view name, const TrustOverride& override,
                      Naming naming);

// nullptr: it counts for ever.
const LimitedKey* limit_of(const PolicyRule& rule, const format::KeyId& key);

// Why a good signature of `key` came too late for it; empty: it did not. `now`: seconds since 1970.
std::string why_too_late(const PolicyRule& rule, const format::KeyId& key,
                         const std::string& bundle, const SignatureAnchors& anchors,
                         std::uint64_t now);

}  // namespace organ::registry
