// SPDX-License-Identifier: Apache-2.0
#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/base/file_system.h"
#include "registry/remote/download.h"
#include "registry/remote/exchange.h"
#include "registry/remote/remote_version.h"
#include "registry/remote/shipment.h"

namespace organ::registry {
namespace {

namespace fs = std::filesystem;
using format::FileEntry;

// A version of an OCI registry whose files are fetched when they are opened.
class FetchedOrgan final : public format::OrganSource {
 public:
  FetchedOrgan(const Repository& repository, const RemoteVersion& version, const fs::path& folder)
      : repository_(repository), version_(version), folder_(folder) {}

  std::uint64_t fetched() const { return count_.fetched; }

  const format::Manifest& manifest() const override { return version_.organ; }
  const std::string& manifest_text() const override { return version_.organ_text; }
  // The file has no name any more: it goes with its descriptor.
  UniqueFd open(const FileEntry& file) const override {
    require_space(folder_, file.size);
    const fs::path path = folder_ / file.digest.hex();
    if (!fetch(file, path)) {
      fail(ErrorCode::corrupt,
           "{}: is made of the pieces that organ.json names, which contradicts "
           "itself in what else it says of them",
           quote(file.path));
    }
    UniqueFd fd = open_regular(path, Symlinks::refuse);
    std::error_code ignored;  // what is left goes with the folder
    fs::remove(path, ignored);
    return fd;
  }
  std::vector<std::string> signature_bundles() const override {
    return version_.attached.signatures();
  }
  std::vector<std::string> attestation_bundles() const override {
    return version_.attached.attestations();
  }
  std::vector<std::string> extra_files() const override { return {}; }
  std::string describe() const override { return repository_.session().where().to_string(); }

 private:
  bool fetch(const FileEntry& file, const fs::path& path) const {
    try {
      return download(repository_, file, path, count_).has_value();
    } catch (const Error& error) {
      if (error.hint() != kGoesOnHint) throw;
      throw Error(error.code(), error.message(),
                  "trying again fetches this file from its beginning");
    }
  }

  const Repository& repository_;
  const RemoteVersion& version_;
  fs::path folder_;
  mutable DownloadCount count_;
};

fs::path temporary_files() {
  std::error_code error;
  fs::path folder = fs::temp_directory_path(error);
  if (error) {
    fail(ErrorCode::io, "the folder for temporary files (TMPDIR) cannot be used: {}",
         error.message());
  }
  return folder;
}

}  // namespace

CopyResult copy(const RemoteReference& from, const RemoteReference& where,
                const PushOptions& options, const Work& work) {
  from.require_version();
  const Session reading(from, "pull", options.remote, work.uncounted());
  const Repository repository(reading);
  const RemoteVersion version = read_version(repository);
  const RemoteReference to = with_tag(where, version.organ.version);
  const TempFolder folder(temporary_files(), "organ-copy", TempFolder::Owner::only);
  const FetchedOrgan organ(repository, version, folder.path());
  Shipment shipment(organ, version.manifest.digest);
  shipment.stop = [&] { reading.stop(); };
  PushOptions sending = options;
  const bool same_registry = from.authority() == to.authority() && from.repository != to.repository;
  if (sending.mount_from.empty() && same_registry) sending.mount_from = from.repository;
  CopyResult result{.pushed = send(shipment, to, sending, work), .left_out = 0};
  result.fetched_bytes = organ.fetched();
  result.left_out = version.attached.left_out();
  return result;
}

}  // namespace organ::registry
