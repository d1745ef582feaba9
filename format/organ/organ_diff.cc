// SPDX-License-Identifier: Apache-2.0
#include "format/organ/organ_diff.h"

#include <algorithm>
#include <cstddef>
#include <map>
#include <string_view>
#include <utility>

#include <nlohmann/json.hpp>

#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/base/json.h"

namespace organ::format {
namespace {

using Pointer = Json::json_pointer;

void add_change(const Pointer& at, const Json* before, const Json* after, OrganDiff& diff) {
  MetadataChange change{.pointer = at.to_string(), .before = {}, .after = {}};
  if (before != nullptr) change.before = json_text(*before);
  if (after != nullptr) change.after = json_text(*after);
  diff.metadata.push_back(std::move(change));
}

void compare_values(const Json& a, const Json& b, const Pointer& at, OrganDiff& diff);

void compare_objects(const Json& a, const Json& b, const Pointer& at, OrganDiff& diff) {
  for (const auto& entry : a.items()) {
    const auto other = b.find(entry.key());
    if (other == b.end()) {
      add_change(at / entry.key(), &entry.value(), nullptr, diff);
    } else {
      compare_values(entry.value(), *other, at / entry.key(), diff);
    }
  }
  for (const auto& entry : b.items()) {
    if (!a.contains(entry.key())) add_change(at / entry.key(), nullptr, &entry.value(), diff);
  }
}

void compare_arrays(const Json& a, const Json& b, const Pointer& at, OrganDiff& diff) {
  for (std::size_t i = 0; i < std::max(a.size(), b.size()); ++i) {
    if (i < a.size() && i < b.size()) {
      compare_values(a[i], b[i], at / i, diff);
    } else {
      add_change(at / i, i < a.size() ? &a[i] : nullptr, i < b.size() ? &b[i] : nullptr, diff);
    }
  }
}

// As deep as organ.json may be.
void compare_values(const Json& a, const Json& b, const Pointer& at, OrganDiff& diff) {
  if (a == b) return;
  if (a.is_object() && b.is_object()) return compare_objects(a, b, at, diff);
  if (a.is_array() && b.is_array()) return compare_arrays(a, b, at, diff);
  add_change(at, &a, &b, diff);
}

Json metadata_of(const OrganSource& organ) {
  Json metadata = json_of(JsonText::parse(organ.manifest_text()));
  metadata.erase("files");
  return metadata;
}

// The tensor of one side, its bytes hashed while they pass.
class Side {
 public:
  // Nothing is opened yet.
  Side(const OrganSource& organ, const FileEntry& file, std::size_t index)
      : organ_(organ), file_(file), index_(index) {}

  const TensorInfo& tensor() const { return file_.tensors[index_]; }
  const Digest& digest() const { return file_.tensor_digests[index_]; }

  void open() { fd_ = organ_.open(file_); }
  TensorSource source() {
    const std::uint64_t begin = file_.data_start + tensor().offset;
    return {tensor(), [this, begin](std::uint64_t offset, std::span<std::byte> out) {
              read_at(fd_.get(), begin + offset, out, organ_.describe() + ": " + file_.path);
              hasher_.update(out);
            }};
  }
  void check() {
    const Digest found = hasher_.finish();
    if (found == digest()) return;
    fail(ErrorCode::corrupt, "{}: {}: tensor {}: has digest {}, its organ.json says {}",
         quote(organ_.describe()), file_.path, quote(tensor().name), found.to_string(),
         digest().to_string());
  }

 private:
  const OrganSource& organ_;
  const FileEntry& file_;
  std::size_t index_;
  UniqueFd fd_;
  Sha256Hasher hasher_;
};

std::string why_not_comparable(const TensorInfo& a, const TensorInfo& b) {
  if (a.shape != b.shape) return "its shape is another one";
  if (a.size == 0) return "it has no elements";
  for (const TensorInfo* tensor : {&a, &b}) {
    if (!is_comparable(tensor->dtype)) {
      return fmt::format("numbers of {} are not compared", to_string(tensor->dtype));
    }
  }
  return {};
}

// Why the bytes of a side cannot be had; empty when they can.
std::string open_side(Side& side) {
  try {
    side.open();
    return {};
  } catch (const Error& error) {
    const bool away = error.code() == ErrorCode::not_found || error.code() == ErrorCode::untrusted;
    if (!away) throw;
    return "its bytes are not at hand: " + error.message();
  }
}

using Names = std::map<std::string_view, std::size_t>;

// Which of the file's tensors has a name.
Names names_of(const FileEntry& file) {
  Names names;
  for (std::size_t i = 0; i < file.tensors.size(); ++i) names.emplace(file.tensors[i].name, i);
  return names;
}

template <typename Diff>
bool is_unchanged(const Diff& one) {
  return one.state == DiffState::same;
}

class Comparison {
 public:
  Comparison(const OrganSource& a, const OrganSource& b, OrganDiff& diff)
      : a_(a), b_(b), diff_(diff) {}

  // What the manifests say.
  void match() {
    for (const FileEntry& file : a_.manifest().files) {
      match_file(&file, b_.manifest().find_file(file.path));
    }
    for (const FileEntry& file : b_.manifest().files) {
      if (a_.manifest().find_file(file.path) == nullptr) match_file(nullptr, &file);
    }
    std::ranges::sort(diff_.files, {}, &FileDiff::path);
    std::ranges::stable_sort(diff_.tensors, {}, &TensorDiff::file);
  }

  // What the bytes say.
  void measure(const Work& work) {
    std::uint64_t bytes = 0;
    for (const TensorDiff& tensor : diff_.tensors) bytes += bytes_to_read(tensor);
    const Work comparing = work.phase("comparing", bytes);
    for (TensorDiff& tensor : diff_.tensors) {
      if (bytes_to_read(tensor) > 0) measure(tensor, comparing);
    }
  }

 private:
  static std::uint64_t bytes_to_read(const TensorDiff& tensor) {
    if (tensor.state != DiffState::changed || !tensor.why_none.empty()) return 0;
    return tensor.a->size + tensor.b->size;
  }

  void match_file(const FileEntry* a, const FileEntry* b) {
    const FileEntry& either = a != nullptr ? *a : *b;
    const bool has_tensors =
        (a != nullptr && !a->tensors.empty()) || (b != nullptr && !b->tensors.empty());
    if (has_tensors) {
      static const FileEntry kNone{};
      match_tensors(either.path, a != nullptr ? *a : kNone, b != nullptr ? *b : kNone);
      return;
    }
    FileDiff file{.path = either.path, .state = DiffState::same};
    if (a == nullptr) {
      file.state = DiffState::only_b;
    } else if (b == nullptr) {
      file.state = DiffState::only_a;
    } else if (a->digest != b->digest) {
      file.state = DiffState::changed;
    }
    diff_.files.push_back(std::move(file));
  }

  void match_tensors(const std::string& path, const FileEntry& a, const FileEntry& b) {
    const Names in_a = names_of(a), in_b = names_of(b);
    const std::size_t first = diff_.tensors.size();
    for (std::size_t i = 0; i < a.tensors.size(); ++i) {
      TensorDiff tensor{.file = path, .name = a.tensors[i].name, .a = a.tensors[i]};
      if (const auto other = in_b.find(tensor.name); other == in_b.end()) {
        tensor.state = DiffState::only_a;
      } else {
        tensor.b = b.tensors[other->second];
        if (!is_same(a, i, b, other->second)) {
          tensor.state = DiffState::changed;
          tensor.why_none = why_not_comparable(*tensor.a, *tensor.b);
        }
      }
      diff_.tensors.push_back(std::move(tensor));
    }
    for (const TensorInfo& info : b.tensors) {
      if (in_a.contains(info.name)) continue;
      diff_.tensors.push_back(
          {.file = path, .name = info.name, .state = DiffState::only_b, .b = info});
    }
    const bool all_same = std::all_of(diff_.tensors.begin() + static_cast<std::ptrdiff_t>(first),
                                      diff_.tensors.end(), is_unchanged<TensorDiff>);
    if (all_same && a.digest != b.digest) {
      diff_.files.push_back({.path = path, .state = DiffState::changed});
    }
  }

  static bool is_same(const FileEntry& a, std::size_t i, const FileEntry& b, std::size_t j) {
    return a.tensors[i].dtype == b.tensors[j].dtype && a.tensors[i].shape == b.tensors[j].shape &&
           a.tensor_digests[i] == b.tensor_digests[j];
  }

  Side side_of(const OrganSource& organ, const TensorDiff& tensor) const {
    const FileEntry& file = *organ.manifest().find_file(tensor.file);
    const auto found = std::ranges::find(file.tensors, tensor.name, &TensorInfo::name);
    return {organ, file, static_cast<std::size_t>(found - file.tensors.begin())};
  }

  void measure(TensorDiff& tensor, const Work& work) const {
    Side a = side_of(a_, tensor), b = side_of(b_, tensor);
    tensor.why_none = open_side(a);
    if (tensor.why_none.empty()) tensor.why_none = open_side(b);
    if (!tensor.why_none.empty()) return work.advance(a.tensor().size + b.tensor().size);
    tensor.figures = compare_tensors(a.source(), b.source(), work);
    a.check();
    b.check();
  }

  const OrganSource& a_;
  const OrganSource& b_;
  OrganDiff& diff_;
};

}  // namespace

std::string_view to_string(DiffState state) {
  constexpr std::string_view kNames[] = {"same", "changed", "only_a", "only_b"};
  return kNames[static_cast<std::size_t>(state)];
}

bool OrganDiff::is_equal() const {
  return metadata.empty() && std::ranges::all_of(files, is_unchanged<FileDiff>) &&
         std::ranges::all_of(tensors, is_unchanged<TensorDiff>);
}

OrganDiff compare_organs(const OrganSource& a, const OrganSource& b, const Work& work) {
  OrganDiff diff;
  compare_values(metadata_of(a), metadata_of(b), Pointer(), diff);
  std::ranges::sort(diff.metadata, {}, &MetadataChange::pointer);
  Comparison comparison(a, b, diff);
  comparison.match();
  comparison.measure(work);
  return diff;
}

}  // namespace organ::format
