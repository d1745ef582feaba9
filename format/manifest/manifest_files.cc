// SPDX-License-Identifier: Apache-2.0
// The rules of files[]: what lies beside organ.json and how it must agree with architecture.layer.
#include <algorithm>
#include <map>
#include <set>

#include <nlohmann/json.hpp>

#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/base/json.h"
#include "format/manifest/internal/manifest_checks.h"
#include "format/tensor/safetensors.h"

namespace organ::format::internal {
namespace {

constexpr std::uint64_t kAlignment = 4096;
constexpr std::uint64_t kCardBytes = std::uint64_t{16} << 20;
constexpr std::uint64_t kMostFileBytes = std::uint64_t{1} << 46;  // 64 TiB
constexpr std::uint64_t kMostHeaderBytes = (std::uint64_t{16} << 20) + kAlignment;

[[noreturn]] void refuse(std::string_view subject, const FileEntry& file,
                         std::string_view message) {
  fail(ErrorCode::corrupt, "{}: file {}: {}", subject, quote(file.path), message);
}

// A layer's tensors by name; opaque layers sign their element types too.
struct ExpectedTensor {
  Shape shape;
  std::optional<std::string> dtype;
};
using ExpectedTensors = std::map<std::string, ExpectedTensor>;

ExpectedTensors read_tensors(const JsonObject& tensors, bool opaque) {
  ExpectedTensors expected;
  for (const auto& item : tensors.value().items()) {
    ExpectedTensor& tensor = expected[item.key()];
    if (!opaque) {
      tensor.shape = tensors.unsigned_integers(item.key());
      continue;
    }
    const JsonObject described = tensors.object(item.key());
    tensor.shape = described.unsigned_integers("shape");
    tensor.dtype = described.string("dtype");
  }
  return expected;
}

// What architecture.layer says of each layer's tensors; one entry for all layers, or one per layer.
std::vector<ExpectedTensors> expected_tensors(const Manifest& manifest, std::string_view subject) {
  const Json fields = json_of(manifest.architecture.layer);
  const JsonObject layer(fields, std::string(subject) + ": architecture.layer");
  if (!layer.has("maths")) return {read_tensors(layer.object("tensors"), false)};
  std::vector<ExpectedTensors> expected;
  for (const JsonObject& tensors : layer.objects("tensors")) {
    expected.push_back(read_tensors(tensors, true));
  }
  return expected;
}

// The one name of a file that is not a layer.
std::string_view fixed_path(FileRole role) {
  switch (role) {
    case FileRole::shared: return kSharedFile;
    case FileRole::head: return "head.safetensors";
    case FileRole::bridge: return "bridge.safetensors";
    case FileRole::card: return "README.md";
    case FileRole::layer: break;
  }
  return {};
}

void check_chunks(const FileEntry& file, std::string_view subject) {
  if (file.size > kMostFileBytes) {
    refuse(subject, file, fmt::format("size {} is more than {}", file.size, kMostFileBytes));
  }
  const std::uint64_t pieces = file.size / kChunkSize + (file.size % kChunkSize != 0 ? 1 : 0);
  if (file.chunks.size() != pieces) {
    refuse(subject, file,
           fmt::format("expected {} for {}, got {}", counted(pieces, "chunk digest"),
                       counted(file.size, "byte"), file.chunks.size()));
  }
  // The piece is the file here: two digests of the same bytes must be equal.
  if (pieces == 1 && file.chunks[0] != file.digest) {
    refuse(subject, file, "the digest of its only chunk differs from the file's digest");
  }
  if (pieces == 0 && file.digest != sha256(std::string_view())) {
    refuse(subject, file, "is empty but its digest is not that of no bytes");
  }
}

void check_card(const FileEntry& file, std::string_view subject) {
  if (!file.tensors.empty() || file.data_start != 0) {
    refuse(subject, file, "a card holds no tensors and has data_start 0");
  }
  if (file.size > kCardBytes) {
    refuse(subject, file,
           fmt::format("a card has at most {} bytes, got {}", kCardBytes, file.size));
  }
}

void check_tensor_name(const FileEntry& file, const TensorInfo& tensor, std::string_view subject) {
  if (const auto flaw = tensor_name_flaw(tensor.name)) {
    refuse(subject, file, fmt::format("tensor {}: {}", quote(tensor.name), *flaw));
  }
}

void check_tensors(const FileEntry& file, std::string_view subject) {
  if (file.tensors.empty()) refuse(subject, file, "holds no tensor");
  if (file.data_start == 0 || file.data_start % kAlignment != 0 ||
      file.data_start > kMostHeaderBytes) {
    refuse(subject, file,
           fmt::format("expected data_start at a positive multiple of {} up to {}, got {}",
                       kAlignment, kMostHeaderBytes, file.data_start));
  }
  std::set<std::string_view> names;
  for (const TensorInfo& tensor : file.tensors) {
    check_tensor_name(file, tensor, subject);
    if (!names.insert(tensor.name).second) {
      refuse(subject, file, fmt::format("tensor {} stands there twice", quote(tensor.name)));
    }
  }
  const TensorInfo& last = file.tensors.back();
  const std::uint64_t end =
      checked_add(checked_add(file.data_start, last.offset, subject), last.size, subject);
  if (end != file.size) {
    refuse(subject, file,
           fmt::format("its tensors end at byte {} but its size is {}", end, file.size));
  }
}

void check_layer(const FileEntry& file, const ExpectedTensors& expected, std::string_view subject) {
  for (const TensorInfo& tensor : file.tensors) {
    const auto found = expected.find(tensor.name);
    if (found == expected.end()) {
      refuse(subject, file,
             fmt::format("tensor {} is not one of architecture.layer", quote(tensor.name)));
    }
    const auto& [shape, dtype] = found->second;
    if (shape != tensor.shape) {
      refuse(subject, file,
             fmt::format("tensor {}: architecture.layer has shape {}, the file {}",
                         quote(tensor.name), to_string(shape), to_string(tensor.shape)));
    }
    if (dtype && *dtype != to_string(tensor.dtype)) {
      refuse(subject, file,
             fmt::format("tensor {}: architecture.layer has dtype {}, the file {}",
                         quote(tensor.name), quote(*dtype), to_string(tensor.dtype)));
    }
  }
  if (file.tensors.size() == expected.size()) return;
  for (const auto& [name, described] : expected) {
    const bool there =
        std::any_of(file.tensors.begin(), file.tensors.end(),
                    [&name = name](const TensorInfo& tensor) { return tensor.name == name; });
    if (!there) refuse(subject, file, fmt::format("tensor {} is missing", quote(name)));
  }
}

// State that the layers share travels with them, and the signature names its digest.
void check_shared_state(const Manifest& manifest, std::string_view subject) {
  const Json fields = json_of(manifest.architecture.layer);
  const JsonObject layer(fields, std::string(subject) + ": architecture.layer");
  const std::string state = layer.optional_string("shared_state").value_or("none");
  const FileEntry* file = manifest.find_file(kSharedFile);
  if (state == "none") {
    if (file != nullptr) refuse(subject, *file, "architecture.layer names no shared state");
    return;
  }
  if (file == nullptr) {
    fail(ErrorCode::corrupt, "{}: file '{}' is missing, the layers share {}", subject, kSharedFile,
         quote(state));
  }
  if (file->tensors.size() != 1 || file->tensors[0].name != state) {
    refuse(subject, *file, fmt::format("expected the tensor {} alone", quote(state)));
  }
  if (layer.string("shared_digest") != file->tensor_digests[0].to_string()) {
    refuse(subject, *file,
           fmt::format("tensor {} has digest {}, architecture.layer says {}", quote(state),
                       file->tensor_digests[0].to_string(), quote(layer.string("shared_digest"))));
  }
}

std::string fold_case(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

// Safe on every system, no two that a case-insensitive one would merge, sorted.
void check_paths(const std::vector<FileEntry>& files, std::string_view subject) {
  std::set<std::string> folded = {std::string(kManifestFile), std::string(kSignatureFile)};
  for (std::size_t i = 0; i < files.size(); ++i) {
    if (!is_safe_file_name(files[i].path)) refuse(subject, files[i], "is not a safe file name");
    if (!folded.insert(fold_case(files[i].path)).second) {
      refuse(subject, files[i], "its name is taken by another file of the organ");
    }
    if (i > 0 && files[i - 1].path >= files[i].path) {
      refuse(subject, files[i], "files are not sorted by path");
    }
  }
}

}  // namespace

void check_files(const Manifest& manifest, std::string_view subject) {
  check_paths(manifest.files, subject);
  const std::vector<ExpectedTensors> expected = expected_tensors(manifest, subject);
  std::map<std::string, std::uint64_t> numbers;  // of the files that must be there
  for (std::uint64_t i = 0; i < manifest.layer_count(); ++i) {
    numbers.emplace(Manifest::layer_file_name(i), i);
  }
  std::set<std::string> layer_paths;
  for (const FileEntry& file : manifest.files) {
    check_chunks(file, subject);
    if (file.role == FileRole::card) {
      check_card(file, subject);
    } else {
      check_tensors(file, subject);
    }
    if (file.role == FileRole::layer) {
      const auto number = numbers.find(file.path);
      const bool one_by_one = expected.size() > 1 && number != numbers.end();
      check_layer(file, expected[one_by_one ? number->second : 0], subject);
      layer_paths.insert(file.path);
    } else if (file.path != fixed_path(file.role)) {
      refuse(subject, file,
             fmt::format("a {} is stored as '{}'", to_string(file.role), fixed_path(file.role)));
    }
  }
  check_shared_state(manifest, subject);
  if (layer_paths.size() != manifest.layer_count()) {
    fail(ErrorCode::corrupt, "{}: expected {}, got {}", subject,
         counted(manifest.layer_count(), "layer file"), layer_paths.size());
  }
  for (std::uint64_t i = 0; i < manifest.layer_count(); ++i) {
    if (!layer_paths.contains(Manifest::layer_file_name(i))) {
      fail(ErrorCode::corrupt, "{}: layer file '{}' is missing", subject,
           Manifest::layer_file_name(i));
    }
  }
}

}  // namespace organ::format::internal
