// SPDX-License-Identifier: Apache-2.0
// What queries about published versions give and take. Plain values; sizes in bytes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "format/base/digest.h"
#include "registry/log/log_entry.h"

#pragma GCC visibility push(default)

namespace organ::registry {

// One published version, as the catalog knows it.
struct VersionInfo {
  std::string name;
  std::string version;
  Digest digest;  // of the OCI manifest: the identity
  std::uint64_t manifest_size = 0;
  std::uint64_t log_index = 0;
  std::string published;  // RFC 3339 UTC
  std::string description;
  std::optional<std::string> license;
  std::string model_type;
  Digest architecture_signature;
  std::uint64_t first_layer = 0, layer_count = 0, donor_layer_count = 0;
  std::string donor_id;
  std::uint64_t bytes = 0;  // organ.json and all files
  std::uint64_t signature_count = 0;
  std::optional<double> best_nll;            // nats per token, after_recovery
  std::optional<std::string> yank_reason;    // hidden from new resolution
  std::optional<std::string> revoke_reason;  // installs refused
  std::vector<std::string> aliases;          // as the log says; a catalog alone gives none
  std::optional<Supersession> superseded;    // the same; a notice
  std::optional<Takedown> taken_down;        // the same; refused, its weights are gone
  // Why it does not count yet for who reads: too few witnesses have cosigned its entry. Refused.
  std::optional<std::string> unwitnessed;
  std::uint64_t log_offset = 0;  // of the line of its publish entry
  std::optional<std::string>
      damage;  // why its manifests cannot be read; what they say is not known
};
using ResolvedVersion = VersionInfo;

// Throws untrusted with the reason: what was revoked or taken down, or is not witnessed yet, is
// handed on to nobody.
void require_not_revoked(const VersionInfo& version);

// Rows come by name, then in log order; of given architectures with the best evaluation first, then
// what has none.
struct VersionFilter {
  std::string name = {};  // exact; empty: all
  // Layers that compute one of these functions (transplant::fitting_signatures); empty: any.
  std::vector<Digest> architecture_signatures = {};
  bool include_withdrawn = true;  // yanked and revoked
  std::uint64_t limit = 0;        // 0: all
  // Words that all begin a word of name, description, donor or licence; anything else between them
  // (spaces, quotes, operators) only keeps them apart.
  std::string text = {};
  std::string model_type = {};  // exact, as the others below; empty: any
  std::string license = {};
  std::string donor_id = {};
};

}  // namespace organ::registry

#pragma GCC visibility pop
