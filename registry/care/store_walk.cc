// SPDX-License-Identifier: Apache-2.0
#include "registry/care/store_walk.h"

#include <map>
#include <utility>

#include "format/base/fail.h"
#include "format/base/path_status.h"
#include "registry/oci/oci.h"
#include "registry/oci/stored_organ.h"

namespace organ::registry {
namespace {

// The text of a small object, or nothing after `unusable` was told.
std::optional<std::string> read_small(const BlobStore& blobs, const ObjectUse& use,
                                      std::uint64_t limit, const WalkVisitor& visitor) {
  const auto refuse = [&](const Error& why) {
    visitor.seen(use, nullptr);
    visitor.unusable(use, why);
    return std::nullopt;
  };
  try {
    if (use.blob.size > limit) {
      fail(ErrorCode::corrupt, "has {} bytes, at most {} are allowed", use.blob.size, limit);
    }
    std::string text = blobs.read(use.blob.digest, use.blob.size);
    visitor.seen(use, &text);
    return text;
  } catch (const UnreadableBlob& error) {
    return refuse(error);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::corrupt) throw;
    return refuse(error);
  }
}

// What `parse` makes of a whole text; nothing after `unusable` was told that it makes no sense.
template <typename Parse>
auto parsed(const ObjectUse& use, const WalkVisitor& visitor, const Parse& parse)
    -> std::optional<decltype(parse())> {
  try {
    return parse();
  } catch (const Error& error) {
    if (error.code() != ErrorCode::corrupt && error.code() != ErrorCode::unsupported_version) {
      throw;
    }
    visitor.unusable(use, error);
    return std::nullopt;
  }
}

ObjectUse use_of(ObjectKind kind, const BlobRef& blob, std::string file) {
  return {.kind = kind, .blob = blob, .file = std::move(file), .entry = nullptr};
}

void walk_signatures(const BlobStore& blobs, const LoggedVersion& version,
                     const WalkVisitor& visitor) {
  for (const BlobRef& signature : version.signatures) {
    const ObjectUse use = use_of(ObjectKind::signature, signature, "its signature");
    const auto text = read_small(blobs, use, kOciManifestLimit, visitor);
    if (!text) continue;
    const auto bundle = parsed(use, visitor, [&] {
      return parse_signature_manifest(*text, version.manifest, version.subject() + ": signature");
    });
    if (!bundle) continue;
    read_small(blobs, use_of(ObjectKind::bundle, *bundle, "its bundle"), kBundleLimit, visitor);
    const BlobRef empty = empty_config().ref;
    read_small(blobs, use_of(ObjectKind::empty, empty, "the empty config"), empty.size, visitor);
  }
}

void walk_files(const BlobStore& blobs, const LoggedVersion& version, const VersionManifest& parts,
                const WalkVisitor& visitor) {
  const ObjectUse organ = use_of(ObjectKind::organ_json, parts.organ, "organ.json");
  read_small(blobs, use_of(ObjectKind::config, parts.config, "its ModelPack config"),
             kOciManifestLimit, visitor);
  auto text = read_small(blobs, organ, format::kManifestLimit, visitor);
  std::optional<StoredVersion> stored;
  if (text) {
    stored = parsed(organ, visitor,
                    [&] { return join_version(parts, *std::move(text), version.subject()); });
  }
  if (stored) {
    for (const format::FileEntry& file : stored->content.organ.files) {
      if (!version.content_expected && format::holds_weights(file.role)) continue;
      ObjectUse use = use_of(ObjectKind::file, {file.digest, file.size}, file.path);
      use.entry = &file;
      visitor.seen(use, nullptr);
    }
    return;
  }
  // Without organ.json the manifest alone says which files there are, but not which are weights.
  if (!version.content_expected) return;
  for (const BlobRef& file : parts.files) {
    visitor.seen(use_of(ObjectKind::file, file, "a file of it"), nullptr);
  }
}

[[noreturn]] void refuse(const std::string& subject, const Error& why) {
  throw Error(ErrorCode::corrupt,
              fmt::format("{}: what it refers to is not known, so nothing may go: {}", subject,
                          why.message()),
              "organ fsck names the damage, organ repair mends it");
}

// Whether more may be referred to than was seen, when this object cannot be used. The files of an
// organ.json stand in its manifest too, but there nothing tells a card from weights.
bool hides_references(const LoggedVersion& version, const ObjectUse& use) {
  return use.kind == ObjectKind::manifest || use.kind == ObjectKind::signature ||
         (use.kind == ObjectKind::organ_json && !version.content_expected);
}

}  // namespace

std::string_view to_string(ObjectKind kind) {
  switch (kind) {
    case ObjectKind::manifest: return "manifest";
    case ObjectKind::organ_json: return "organ.json";
    case ObjectKind::config: return "config";
    case ObjectKind::file: return "file";
    case ObjectKind::signature: return "signature";
    case ObjectKind::bundle: return "bundle";
    case ObjectKind::empty: return "empty";
  }
  return "file";
}

LoggedState read_log(const Log& log, const Work& work) {
  LoggedState state;
  std::map<std::pair<std::string, std::string>, std::size_t> known;
  const auto take = [&](const LogPlace& where, const LogEntry& entry) {
    work.advance(1);
    state.facts.add(where.index, entry);
    ++state.entries;
    if (state.first_time.empty()) state.first_time = entry.time;
    state.last_time = entry.time;
    if (!entry.manifest) return;
    const auto [place, is_new] =
        known.try_emplace({entry.name, entry.version}, state.versions.size());
    if (is_new && entry.kind == LogKind::publish) {
      state.versions.push_back({.name = entry.name,
                                .version = entry.version,
                                .manifest = *entry.manifest,
                                .signatures = {}});
    }
    if (place->second < state.versions.size()) {
      std::vector<BlobRef>& all = state.versions[place->second].signatures;
      all.insert(all.end(), entry.signatures.begin(), entry.signatures.end());
    }
  };
  try {
    const LogScan scan = log.scan({}, take);
    require_signed(log, scan.note, state.facts);
    state.beyond = scan.beyond;
  } catch (const Error& error) {
    if (error.code() == ErrorCode::io || error.code() == ErrorCode::cancelled) throw;
    state.damage = error;
  }
  for (LoggedVersion& version : state.versions) {
    version.content_expected = !state.facts.taken_down(version.name, version.version);
  }
  return state;
}

void walk_version(const BlobStore& blobs, const LoggedVersion& version,
                  const WalkVisitor& visitor) {
  const ObjectUse use = use_of(ObjectKind::manifest, version.manifest, "its manifest");
  walk_signatures(blobs, version, visitor);
  const auto text = read_small(blobs, use, kOciManifestLimit, visitor);
  if (!text) return;
  const auto parts = parsed(use, visitor, [&] {
    return parse_version_manifest(*text, version.subject() + ": manifest");
  });
  if (parts) walk_files(blobs, version, *parts, visitor);
}

void walk_all(const BlobStore& blobs, const LoggedState& state, const Work& work,
              const ReferenceSeen& seen, const std::string& taken_down) {
  if (state.damage) refuse("organ/log", *state.damage);
  for (const LoggedVersion& logged : state.versions) {
    work.require_wanted();
    LoggedVersion version = logged;
    if (version.subject() == taken_down) version.content_expected = false;
    walk_version(blobs, version,
                 {.seen = [&](const ObjectUse& use, const std::string*) { seen(version, use); },
                  .unusable =
                      [&](const ObjectUse& use, const Error& why) {
                        if (hides_references(version, use)) refuse(version.subject(), why);
                      }});
  }
}

std::vector<format::FileEntry> weights_of(const BlobStore& blobs, const LoggedVersion& version) {
  std::vector<format::FileEntry> weights;
  std::set<Digest> listed;
  const StoredVersion stored = load_version(blobs, version.manifest, version.subject());
  for (const format::FileEntry& file : stored.content.organ.files) {
    if (format::holds_weights(file.role) && listed.insert(file.digest).second) {
      weights.push_back(file);
    }
  }
  return weights;
}

std::map<std::string, std::vector<format::FileEntry>> leftover_weights(
    const BlobStore& blobs, const LoggedState& state, const std::set<Digest>& referred) {
  std::map<std::string, std::vector<format::FileEntry>> left;
  for (const LoggedVersion& version : state.versions) {
    if (version.content_expected) continue;
    try {
      for (format::FileEntry& file : weights_of(blobs, version)) {
        const bool here = is_taken(blobs.path(file.digest)) && !referred.contains(file.digest);
        if (here) left[version.subject()].push_back(std::move(file));
      }
    } catch (const UnreadableBlob&) {
      continue;  // its damage is told by who reads it
    } catch (const Error& error) {
      if (error.code() != ErrorCode::corrupt && error.code() != ErrorCode::unsupported_version) {
        throw;
      }
    }
  }
  return left;
}

}  // namespace organ::registry
