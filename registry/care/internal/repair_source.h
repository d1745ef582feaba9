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

struct WantedObject {
  std::string kind;  // of ObjectKind
  BlobRef blob;
  const LoggedVersion* version;  // one that needs it
};

class RepairSource {
 public:
  virtual ~RepairSource() = default;
  virtual std::string describe() const = 0;
  // Fills `out` with the object's bytes from `begin` on; false when it has none, or fewer. Throws
  // io of this machine, cancelled.
  virtual bool read(const WantedObject& object, std::uint64_t begin, std::span<std::byte> out) = 0;
  // Why it did not answer; empty while it does.
  virtual std::string problem() const { return {}; }
};

// The texts that follow from an organ.json: itself, the ModelPack config and the manifest of the
// version `wanted`, and from bundles their blobs and manifests. By digest.
std::map<Digest, std::string> derived_texts(const format::Manifest& organ,
                                            const std::string& organ_text,
                                            const std::vector<std::string>& bundles,
                                            const LoggedVersion& wanted);

// One file, whatever object is asked for.
std::unique_ptr<RepairSource> file_source(const std::filesystem::path& path,
                                          std::string description);
// What the version's own organ.json says.
std::unique_ptr<RepairSource> own_texts(const BlobStore& blobs);
// SOURCE of a command line. Throws not_found, invalid_argument, corrupt.
std::unique_ptr<RepairSource> open_source(const std::string& text, const RemoteOptions& options,
                                          const Work& work);

}  // namespace organ::registry
