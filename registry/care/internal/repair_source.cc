// SPDX-License-Identifier: Apache-2.0
#include "registry/care/internal/repair_source.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/base/path_status.h"
#include "format/organ/organ_source.h"
#include "registry/care/internal/remote_source.h"
#include "registry/care/object_check.h"
#include "registry/http/remote_reference.h"
#include "registry/oci/oci.h"

namespace organ::registry {
namespace {

namespace fs = std::filesystem;

bool read_file_piece(const UniqueFd& fd, std::uint64_t begin, std::span<std::byte> out) {
  if (!fd) return false;
  try {
    read_at(fd.get(), begin, out, "a source");
    return true;
  } catch (const Error& error) {
    // Shorter, or the medium does not give it back: somebody else may have it.
    if (error.code() != ErrorCode::io && error.code() != ErrorCode::corrupt) throw;
    return false;
  }
}

bool read_text_piece(const std::string& text, std::uint64_t begin, std::span<std::byte> out) {
  if (text.size() < begin || text.size() - begin < out.size()) return false;
  std::ranges::copy(std::as_bytes(std::span(text)).subspan(begin, out.size()), out.begin());
  return true;
}

// Files named by digests: another registry.
class BlobSource final : public RepairSource {
 public:
  BlobSource(const fs::path& registry, std::string description)
      : blobs_(registry), description_(std::move(description)) {}

  std::string describe() const override { return description_; }
  bool read(const WantedObject& object, std::uint64_t begin, std::span<std::byte> out) override {
    return read_file_piece(open_as_it_is(blobs_.path(object.blob.digest)), begin, out);
  }

 private:
  BlobStore blobs_;
  std::string description_;
};

// One file, which may hold the object or a part of it.
class FileSource final : public RepairSource {
 public:
  FileSource(const fs::path& path, std::string description)
      : fd_(open_as_it_is(path)), description_(std::move(description)) {}

  std::string describe() const override { return description_; }
  bool read(const WantedObject&, std::uint64_t begin, std::span<std::byte> out) override {
    return read_file_piece(fd_, begin, out);
  }

 private:
  UniqueFd fd_;
  std::string description_;
};

// Texts that follow from an organ.json, made once for each version.
class TextSource : public RepairSource {
 public:
  bool read(const WantedObject& object, std::uint64_t begin, std::span<std::byte> out) override {
    const auto& texts = texts_for(*object.version);
    const auto found = texts.find(object.blob.digest);
    return found != texts.end() && read_text_piece(found->second, begin, out);
  }

 protected:
  virtual std::map<Digest, std::string> make_texts(const LoggedVersion& version) = 0;

 private:
  const std::map<Digest, std::string>& texts_for(const LoggedVersion& version) {
    if (version_ != version.subject()) {
      texts_ = make_texts(version);
      version_ = version.subject();
    }
    return texts_;
  }

  std::string version_;
  std::map<Digest, std::string> texts_;
};

class OwnTexts final : public TextSource {
 public:
  explicit OwnTexts(BlobStore blobs) : blobs_(std::move(blobs)) {}
  std::string describe() const override { return "its organ.json"; }

 protected:
  std::map<Digest, std::string> make_texts(const LoggedVersion& version) override {
    std::string text;
    walk_version(blobs_, version,
                 {.seen =
                      [&](const ObjectUse& use, const std::string* whole) {
                        if (use.kind == ObjectKind::organ_json && whole != nullptr) text = *whole;
                      },
                  .unusable = [](const ObjectUse&, const Error&) {}});
    const TextBlob empty = empty_config();
    std::map<Digest, std::string> texts{{empty.ref.digest, empty.text}};
    if (text.empty()) return texts;
    try {
      texts.merge(derived_texts(format::Manifest::parse(text, "organ.json"), text, {}, version));
    } catch (const Error& error) {
      if (error.code() == ErrorCode::io) throw;  // else it says nothing that helps
    }
    return texts;
  }

 private:
  BlobStore blobs_;
};

class FolderSource final : public TextSource {
 public:
  explicit FolderSource(format::OrganFolder organ) : organ_(std::move(organ)) {}
  std::string describe() const override { return organ_.describe(); }

  bool read(const WantedObject& object, std::uint64_t begin, std::span<std::byte> out) override {
    const auto& files = organ_.manifest().files;
    const auto file = std::ranges::find(files, object.blob.digest, &format::FileEntry::digest);
    if (file == files.end()) return TextSource::read(object, begin, out);
    return read_file_piece(open_as_it_is(organ_.folder() / file->path), begin, out);
  }

 protected:
  std::map<Digest, std::string> make_texts(const LoggedVersion& version) override {
    const std::vector<std::string> bundles = organ_.signature_bundles();
    auto texts = derived_texts(organ_.manifest(), organ_.manifest_text(), bundles, version);
    // It may have been published under another name.
    format::Manifest renamed = organ_.manifest();
    renamed.name = version.name;
    renamed.version = version.version;
    texts.merge(derived_texts(renamed, renamed.to_text(), bundles, version));
    return texts;
  }

 private:
  format::OrganFolder organ_;
};

}  // namespace

std::map<Digest, std::string> derived_texts(const format::Manifest& organ,
                                            const std::string& organ_text,
                                            const std::vector<std::string>& bundles,
                                            const LoggedVersion& wanted) {
  std::map<Digest, std::string> texts;
  const auto add = [&](TextBlob&& blob) {
    texts.try_emplace(blob.ref.digest, std::move(blob.text));
  };
  VersionTexts made = version_texts(organ, organ_text, wanted.manifest.digest);
  add(std::move(made.organ_json));
  add(std::move(made.config));
  add(std::move(made.manifest));
  for (const std::string& bundle : bundles) {
    TextBlob blob(bundle);
    add(signature_manifest(blob.ref, wanted.manifest));
    add(std::move(blob));
  }
  return texts;
}

std::unique_ptr<RepairSource> file_source(const fs::path& path, std::string description) {
  return std::make_unique<FileSource>(path, std::move(description));
}

std::unique_ptr<RepairSource> own_texts(const BlobStore& blobs) {
  return std::make_unique<OwnTexts>(blobs);
}

std::unique_ptr<RepairSource> open_source(const std::string& text, const RemoteOptions& options,
                                          const Work& work) {
  if (looks_like_remote(text)) return remote_source(text, options, work);
  const fs::path folder(text);
  if (!is_there(folder)) fail(ErrorCode::not_found, "{}: no such source", quote(text));
  if (is_there(folder / format::kManifestFile)) {
    return std::make_unique<FolderSource>(format::OrganFolder::open(folder));
  }
  if (is_folder(folder / "blobs" / "sha256")) {
    return std::make_unique<BlobSource>(folder, folder.string());
  }
  throw Error(ErrorCode::invalid_argument, quote(text) + ": neither a registry nor an organ folder",
              "a source is a registry folder, an organ folder or oci://HOST/REPOSITORY");
}

}  // namespace organ::registry
