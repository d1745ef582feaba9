// SPDX-License-Identifier: Apache-2.0
// What the entries of a log refer to, object by object.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "format/base/error.h"
#include "format/manifest/manifest.h"
#include "registry/blobs/blob_store.h"
#include "registry/log/facts.h"
#include "registry/registry_paths.h"

namespace organ::registry {

enum class ObjectKind { manifest, organ_json, config, file, signature, bundle, empty };
std::string_view to_string(ObjectKind kind);  // as DamagedObject::kind

// A published version as the log has it.
struct LoggedVersion {
  std::string name, version;
  BlobRef manifest;  // OCI manifest: the identity
  // Manifests that attach bundles, of all entries of kinds publish, signature and attestation.
  std::vector<BlobRef> signatures;
  // False: the log says that its weights were taken down: they need not be here, and nothing refers
  // to them any more. All else of it stays: manifest, organ.json, card, signatures.
  bool content_expected = true;
  // NAME:VERSION.
  std::string subject() const { return name + ":" + version; }
};

// What the whole log says.
struct LoggedState {
  std::vector<LoggedVersion> versions;  // in the order of their publish entries
  LogFacts facts;
  std::uint64_t entries = 0;
  std::string first_time, last_time;  // of the entries; empty without any
  std::uint64_t beyond = 0;           // bytes behind the checkpoint
  std::optional<Error> damage;        // why the rest could not be read
};
// Never throws for a damaged log: what stands before the damage is there, and `damage` says so.
// Throws io, cancelled. Needs no lock. `work` is told of each entry.
LoggedState read_log(const Log& log, const Work& work);

// One reference to an object.
struct ObjectUse {
  ObjectKind kind = ObjectKind::file;
  BlobRef blob;
  std::string file;                          // as people call it: layer.00.safetensors, organ.json
  const format::FileEntry* entry = nullptr;  // of a file of organ.json; lives as long as the call
};

struct WalkVisitor {
  // Each reference, as often as there are such. `whole` holds the text of a small object that is
  // right, for the call; nullptr: a file, or an object that `unusable` is told of next.
  std::function<void(const ObjectUse& use, const std::string* whole)> seen;
  // A small object that cannot be used, and why (corrupt, unsupported_version, UnreadableBlob);
  // what it refers to stays unknown, but for the files of an organ.json: its manifest lists them
  // too.
  std::function<void(const ObjectUse& use, const Error& why)> unusable;
};

// Goes through everything that a version refers to, reading what is small: manifests, organ.json,
// config, signatures. Files are not opened. Weights that were taken down are left out. Both
// functions of the visitor must be there. What they throw is thrown on, but `seen` throws neither
// corrupt nor UnreadableBlob: it would count as the object's. Throws io.
void walk_version(const BlobStore& blobs, const LoggedVersion& version, const WalkVisitor& visitor);

// The same of all versions, for who takes objects away: throws corrupt when the log, or an object
// that says what else is referred to, cannot be read. `taken_down`: this one as if it were.
using ReferenceSeen = std::function<void(const LoggedVersion& version, const ObjectUse& use)>;
void walk_all(const BlobStore& blobs, const LoggedState& state, const Work& work,
              const ReferenceSeen& seen, const std::string& taken_down = {});

// The weights of versions that were taken down which nothing refers to any more, and which are
// still here: what a takedown that was ended left behind. By version; one whose organ.json cannot
// be read has none that are known.
std::map<std::string, std::vector<format::FileEntry>> leftover_weights(
    const BlobStore& blobs, const LoggedState& state, const std::set<Digest>& referred);
// What organ.json of a version lists with weights, each digest once. Throws as load_version.
std::vector<format::FileEntry> weights_of(const BlobStore& blobs, const LoggedVersion& version);

}  // namespace organ::registry
