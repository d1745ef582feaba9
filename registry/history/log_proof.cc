// SPDX-License-Identifier: Apache-2.0
#include "registry/history/log_proof.h"

#include <nlohmann/json.hpp>

#include "format/base/fail.h"
#include "format/base/json.h"
#include "registry/log/log.h"
#include "registry/log/merkle_proof.h"
#include "registry/registry_paths.h"
#include "registry/trust/known_logs.h"

namespace organ::registry {
namespace {

constexpr std::uint64_t kProofVersion = 1;

void require_trusted(const LogProof& proof, const OpenOptions& trusted, std::string_view subject) {
  if (!trusted.log_key.empty()) {
    if (proof.log_key == trusted.log_key) return;
    fail(ErrorCode::untrusted, "{}: it is about the log of key {}, expected {}", subject,
         quote(proof.log_key), quote(trusted.log_key));
  }
  if (!trusted.known_registries.empty() &&
      KnownLogs(trusted.known_registries).with_key(proof.log_key)) {
    return;
  }
  throw Error(ErrorCode::untrusted,
              fmt::format("{}: it is about the log of key {}, of no registry that you have met",
                          subject, quote(proof.log_key)),
              "--key says which key it must be, as the registry's owner tells it");
}

}  // namespace

std::string LogProof::to_text() const {
  Json path = Json::array();
  for (const Digest& hash : hashes) path.push_back(hash.to_string());
  return pretty_json({{"schema_version", kProofVersion},
                      {"log_key", log_key},
                      {"index", index},
                      {"entry", entry},
                      {"hashes", path},
                      {"checkpoint", checkpoint}});
}

LogProof LogProof::parse(std::string_view text, std::string_view subject) {
  const Json json = parse_json(text, {.bytes = kProofLimit, .depth = 3}, subject);
  const JsonObject object(json, std::string(subject));
  if (const std::uint64_t version = object.unsigned_integer("schema_version");
      version != kProofVersion) {
    throw Error(
        ErrorCode::unsupported_version,
        fmt::format("{}: schema version {}, this organ knows {}", subject, version, kProofVersion),
        "a newer organ wrote it");
  }
  object.allow_only({"checkpoint", "entry", "hashes", "index", "log_key", "schema_version"});
  LogProof proof;
  proof.log_key = object.string("log_key");
  proof.index = object.unsigned_integer("index");
  proof.entry = object.string("entry");
  proof.hashes = object.digests("hashes");
  proof.checkpoint = object.string("checkpoint");
  if (proof.hashes.size() > kLongestProof) {
    object.fail_field("hashes", fmt::format("has {} elements, at most {} make a proof",
                                            proof.hashes.size(), kLongestProof));
  }
  return proof;
}

LogProof prove_entry(const std::filesystem::path& registry, std::uint64_t index) {
  const Log log(find_registry(registry).organ());
  SignedCheckpoint covered = log.signed_checkpoint();
  LogProof proof{.log_key = log.verifier_key(),
                 .index = index,
                 .entry = {},
                 .hashes = {},
                 .checkpoint = std::move(covered.note)};
  const std::string subject = quote(registry.string());
  const std::uint64_t size = covered.tree.size;
  if (index >= size) {
    fail(ErrorCode::not_found, "{}: its log has no entry {}: there are {}, counted from 0", subject,
         index, size);
  }
  TreeHashes hashes;
  log.scan({}, [&](const LogPlace& place, const LogEntry& entry) {
    const std::string text = entry.to_text();
    hashes.append(merkle_leaf(text));
    if (place.index == index) proof.entry = text;
  });
  proof.hashes = inclusion_proof(index, size, hashes.subtrees());
  check_proof(proof, {.log_key = proof.log_key}, subject);
  return proof;
}

ProvedEntry check_proof(const LogProof& proof, const OpenOptions& trusted,
                        std::string_view subject) {
  require_trusted(proof, trusted, subject);
  const auto key = NoteVerifier::parse(proof.log_key, fmt::format("{}: log key", subject));
  const Checkpoint signed_tree = key.open(proof.checkpoint, fmt::format("{}: checkpoint", subject));
  if (proof.index >= signed_tree.size) {
    fail(ErrorCode::corrupt, "{}: entry {} of a log of {} entries", subject, proof.index,
         signed_tree.size);
  }
  const auto root =
      root_from_inclusion(proof.index, signed_tree.size, merkle_leaf(proof.entry), proof.hashes);
  if (root != signed_tree.root) {
    fail(ErrorCode::corrupt,
         "{}: the entry and its {} hashes do not lead to the root that the checkpoint signs",
         subject, proof.hashes.size());
  }
  return {LogEntry::parse(proof.entry, fmt::format("{}: entry {}", subject, proof.index)),
          signed_tree.size};
}

}  // namespace organ::registry
