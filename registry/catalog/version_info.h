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

// One published version, as the catalog knows it. What stands in organ.json (description to
// donor_id, bytes, best_nll) is empty or zero where `damage` says why it is not known.
struct VersionInfo {
  std::string name;
  std::string version;
  Digest digest;  // of the OCI manifest: the identity
  std::uint64_t manifest_size = 0;
  std::uint64_t log_index = 0;  // of the publish entry, counted from 0
  std::string published;        // the time of that entry, RFC 3339 UTC
  std::string description;
  std::optional<std::string> license;  // nothing: organ.json names none
  std::string model_type;
  Digest architecture_signature;  // of the function that its layers compute
  // Where it was taken out: layers first_layer to first_layer + layer_count - 1 of a donor that has
  // donor_layer_count, counted from 0.
  std::uint64_t first_layer = 0, layer_count = 0, donor_layer_count = 0;
  std::string donor_id;               // free text
  std::uint64_t bytes = 0;            // organ.json and all files
  std::uint64_t signature_count = 0;  // bundles that sign the files, good or not
  // The least nats per token of its evaluations after_recovery and as_transplanted, whatever they
  // were measured on; nothing: it has none.
  std::optional<double> best_nll;
  std::optional<std::string> yank_reason;    // hidden from new resolution
  std::optional<std::string> revoke_reason;  // installs refused
  std::vector<std::string> aliases;          // as the log says; a catalog alone gives none
  std::optional<Supersession> superseded;    // the same; a notice
  std::optional<Takedown> taken_down;        // the same; refused, its weights are gone
  // Why it does not count yet for who reads: too few witnesses have cosigned its entry. Refused.
  std::optional<std::string> unwitnessed;
  std::uint64_t log_offset = 0;  // of the line of its publish entry, in bytes from the log's begin
  // Why its manifests cannot be read; what they say is not known.
  std::optional<std::string> damage;
};
using ResolvedVersion = VersionInfo;

// Throws untrusted with the reason: what was revoked or taken down, or is not witnessed yet, is
// handed on to nobody. What was yanked passes.
void require_not_revoked(const VersionInfo& version);

// Rows come by name, then in log order; of given architectures with the best evaluation first, then
// what has none.
struct VersionFilter {
  std::string name = {};  // exact; empty: all
  // Layers that compute one of these functions (transplant::fitting_signatures); empty: any.
  std::vector<Digest> architecture_signatures = {};
  // Yanked, revoked and taken down versions, and those that wait for their witnesses. A Catalog
  // alone knows of the first two only.
  bool include_withdrawn = true;
  std::uint64_t limit = 0;  // rows at most; 0: all
  // Words that all begin a word of name, description, donor or licence; anything else between them
  // (spaces, quotes, operators) only keeps them apart. Without any letter or digit: all.
  std::string text = {};
  std::string model_type = {};  // exact, as the others below; empty: any
  std::string license = {};
  std::string donor_id = {};
};

}  // namespace organ::registry

#pragma GCC visibility pop
