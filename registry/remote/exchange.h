// SPDX-License-Identifier: Apache-2.0
// Versions between a registry folder and any OCI registry.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>

#include "format/base/digest.h"
#include "format/manifest/reference.h"
#include "registry/http/remote_options.h"
#include "registry/http/remote_reference.h"
#include "registry/registry.h"

#pragma GCC visibility push(default)

namespace organ::registry {

struct PushOptions {
  RemoteOptions remote;
  // A repository of the same registry (REPOSITORY, without host) that may hold blobs already, which
  // are then not sent; empty: none.
  std::string mount_from;
  bool replace_tag = false;  // let the tag name another version than it does
};

// Sizes in bytes of blobs (files, organ.json, config, bundles); those that several files share
// count once. Manifests do not count.
struct PushResult {
  std::string reference;  // oci://…:TAG
  std::string name, version;
  Digest digest;                    // of the OCI manifest
  bool already_there = false;       // the tag named this version before
  std::uint64_t bytes = 0;          // of all blobs
  std::uint64_t sent_bytes = 0;     // of blobs that went over the network
  std::uint64_t mounted_bytes = 0;  // of blobs that another repository of the registry had
  // Of the version: all of them are attached there.
  std::size_t signatures = 0;
  std::size_t attestations = 0;
};

// Uploads a version of `registry` with its signatures and attestations, as referrers: blobs,
// manifest, signatures, and the tag last: what it names is whole. Without a tag the version's text
// is the tag. What was sent before an error stays there, and the tag as it was. Throws not_found,
// invalid_argument (`to` has a digest; the version's text is no tag), untrusted (a revoked version;
// a host that does not prove itself), already_exists (the tag names something else), corrupt
// (damage here, or answers that lie), io, cancelled.
PushResult push(const Registry& registry, const format::Reference& version,
                const RemoteReference& to, const PushOptions& options, const Work& work = {});

// What copy() did. `pushed` speaks of where it went.
struct CopyResult {
  PushResult pushed;
  std::uint64_t fetched_bytes = 0;  // of files
  std::size_t left_out = 0;         // attached to it, and neither signature nor attestation
};

// Brings a version from one OCI registry into another, or into another repository of the same one,
// under the same identity, with its signatures and attestations. What is there is not fetched;
// what one registry has in another repository is mounted. Files lie in the folder for temporary
// ones (TMPDIR) meanwhile, some at one time. Everything is compared with organ.json on its way;
// whose signatures count is asked by who pulls it. Throws as push and pull.
CopyResult copy(const RemoteReference& from, const RemoteReference& to, const PushOptions& options,
                const Work& work = {});

// What pull() did. Sizes in bytes.
struct PullResult {
  std::string reference;  // oci://…@sha256:…
  PublishResult published;
  std::uint64_t fetched_bytes = 0;  // of files, over the network
  std::uint64_t kept_bytes = 0;     // of files, of an interrupted pull
  std::size_t signatures = 0;       // that came with it
  std::size_t attestations = 0;     // the same
  std::size_t left_out = 0;         // that were neither, or too many
};

// What a version has to be called by its organ.json, name and version; nothing: whatever it is.
using ExactVersion = std::optional<std::pair<std::string, format::Version>>;

// Brings a version into `registry` under its own name: small objects first, which prove the
// identity that was asked for, name the version and are judged by the policy; then the files that
// are not here, into organ/partial; then publish(), which verifies all of it and commits. Ended at
// any step it leaves the registry as it was, and files that the next pull of the version goes on
// with. Throws as push, and untrusted (another name or
// version than expected; refused by the policy), conflict (another process pulls it),
// invalid_argument (`from` has neither tag nor digest). `registry` was opened to write.
PullResult pull(Registry& registry, const RemoteReference& from, const ExactVersion& expected,
                const RemoteOptions& options, const Work& work = {});

// What pull_manifest() brought.
struct ManifestResult {
  std::string reference;  // oci://…@sha256:…
  std::string name, version;
  Digest digest;  // of the OCI manifest: the identity
  // Bytes of the OCI manifest, organ.json and bundles.
  std::uint64_t fetched_bytes = 0;
  // As PullResult. Only the first signature is written; attestations are not.
  std::size_t signatures = 0, attestations = 0, left_out = 0;
};

// The new folder `out` with organ.json and, when it is signed, model.sig: what `organ check` needs.
// Throws as pull, already_exists.
ManifestResult pull_manifest(const RemoteReference& from, const std::filesystem::path& out,
                             const ExactVersion& expected, const RemoteOptions& options,
                             const Work& work = {});

}  // namespace organ::registry

#pragma GCC visibility pop
