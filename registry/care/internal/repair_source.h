// SPDX-License-Identifier: Apache-2.0
// Where bytes of a damaged object may come from. Nobody believes them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "format/manifest/manifest.h"
#include "registry/care/store_walk.h"
#include "registry/http/remote_options.h"

namespace organ::registry {

// The object whose bytes are asked for.
struct WantedObject {
  std::string kind;  // of ObjectKind
  BlobRef blob;
  const LoggedVersion* version;  // one that needs it; borrowed for the call, never null
};

// One place. Used by one thread.
class RepairSource {
 public:
  virtual ~RepairSource() = default;
  virtual std::string describe() const = 0;  // as RepairReport names it
  // Fills `out` with what it takes for the object's bytes from `begin` on; false when it has none,
  // or fewer, or its medium does not give them: `out` may have been written into then. Throws io of
  // this machine, cancelled.
  virtual bool read(const WantedObject& object, std::uint64_t begin, std::span<std::byte> out) = 0;
  // Why it did not answer, for people; empty while it does. Only of sources behind a network.
  virtual std::string problem() const { return {}; }
};

// The texts that follow from an organ.json: itself, the ModelPack config and the manifest of the
// version `wanted`, and from bundles their blobs and manifests. By digest: one that is none of the
// version's is found by nobody.
std::map<Digest, std::string> derived_texts(const format::Manifest& organ,
                                            const std::string& organ_text,
                                            const std::vector<std::string>& bundles,
                                            const LoggedVersion& wanted);

// One file, whatever object is asked for. It is opened here; where it is no regular file, or is not
// there, the source has nothing.
std::unique_ptr<RepairSource> file_source(const std::filesystem::path& path,
                                          std::string description);
// What the version's own organ.json says, where that and its manifest are whole in `blobs`: its
// ModelPack config; and, in any case, the empty config of signatures.
std::unique_ptr<RepairSource> own_texts(const BlobStore& blobs);
// SOURCE of a command line: oci://HOST/REPOSITORY, an organ folder, or a folder with blobs/sha256.
// Throws not_found (no such folder), invalid_argument (it is none of them), corrupt (the organ.json
// of an organ folder).
std::unique_ptr<RepairSource> open_source(const std::string& text, const RemoteOptions& options,
                                          const Work& work);

}  // namespace organ::registry
