// SPDX-License-Identifier: Apache-2.0
// One repository of another registry: the OCI distribution API (distribution-spec 1.1), as far as
// versions need it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "format/base/handle.h"
#include "registry/http/session.h"
#include "registry/log/log_entry.h"

namespace organ::registry {

// A manifest as the registry gave it.
struct RemoteManifest {
  std::string text;  // as sent
  BlobRef ref;       // of the text
};

// A blob to upload: a text, or a file of `ref.size` bytes that `open` gives when it is needed.
struct BlobToSend {
  BlobRef ref;
  std::string name;  // for messages
  std::string text = {};
  std::function<UniqueFd()> open = {};
};

// How a blob came to be in a repository.
enum class BlobSent { was_there, mounted, sent };

// Thread-safe as its session. Every function throws what Session::send and expect throw, and
// corrupt for answers that are not what they must be.
class Repository {
 public:
  explicit Repository(const Session& session) : session_(session) {}

  const Session& session() const { return session_; }

  // The manifest at a tag or a digest; nullopt when there is none. By digest its text has it.
  std::optional<RemoteManifest> find_manifest(const std::string& tag_or_digest) const;
  // The digest that a tag has now, without the manifest where the registry says it.
  std::optional<Digest> find_digest(const std::string& tag) const;
  // Returns whether the registry keeps referrers itself (OCI-Subject).
  bool put_manifest(const std::string& text, const Digest& digest, const std::string& tag,
                    std::string_view media_type) const;

  bool has_blob(const BlobRef& blob) const;
  // A small blob whole, its digest checked.
  std::string read_blob(const BlobRef& blob, const std::string& name) const;
  // Bytes of a blob from `offset` on, in order, as far as the connection held: returns the broken
  // answer then. Where the registry knows no ranges it begins at 0: `from` is told before the first
  // byte. Throws corrupt when a range is not the one that was asked for.
  HttpResponse read_from(const BlobRef& blob, const std::string& name, std::uint64_t offset,
                         const std::function<void(std::uint64_t from)>& begin,
                         const std::function<void(std::span<const std::byte>)>& take) const;

  // Uploads a blob that is not there, or takes it from the repository `mount_from` of the same
  // registry when it has it (empty: no other). Tells the session's work of its bytes. Throws
  // corrupt when the bytes are not of the digest.
  BlobSent put_blob(const BlobToSend& blob, const std::string& mount_from) const;

  // The manifests with this artifact type whose subject is `subject`: from the referrers API, or
  // from the tag that stands in for it. At most `most`; `left_out` counts the others.
  std::vector<BlobRef> referrers(const Digest& subject, std::string_view artifact_type,
                                 std::size_t most, std::size_t& left_out) const;
  // Adds a descriptor to the tag that stands in for the referrers API. Two that do so at one time
  // may lose one of theirs: it is looked for afterwards, and added again.
  void add_fallback_referrer(const Digest& subject, const BlobRef& manifest,
                             std::string_view artifact_type) const;

 private:
  std::string path(std::string_view kind, std::string_view name) const;
  std::string subject(std::string_view what) const;  // for messages

  const Session& session_;  // outlives this object
};

}  // namespace organ::registry
