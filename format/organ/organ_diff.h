// SPDX-License-Identifier: Apache-2.0
// Two organs compared: what their manifests say otherwise, and their tensors one by one.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "format/base/json_text.h"
#include "format/organ/organ_source.h"
#include "format/tensor/difference.h"

#pragma GCC visibility push(default)

namespace organ::format {

// A value of organ.json that is not the same in both; `files` is left out, it has lists of its own.
struct MetadataChange {
  std::string pointer;                    // RFC 6901: /training/seed
  std::optional<JsonText> before, after;  // nothing: there is none
};

// Files are the same by their digests, tensors by digest, element type and shape.
enum class DiffState { same, changed, only_a, only_b };
std::string_view to_string(DiffState state);  // its name as written here

// A file without tensors, by its digest; or one of which only other bytes than those of its tensors
// changed (the metadata of its header).
struct FileDiff {
  std::string path;
  DiffState state = DiffState::same;
};

// A tensor of either organ; tensors are matched by file and name, so one that moved to another file
// is only_a there and only_b here.
struct TensorDiff {
  std::string file;  // layer.00.safetensors
  std::string name;
  DiffState state = DiffState::same;
  std::optional<TensorInfo> a = {}, b = {};   // as its organ.json has it
  std::optional<TensorFigures> figures = {};  // of a changed one, where `why_none` is empty
  std::string why_none = {};                  // another shape, bytes that are not at hand, …
};

// Files and tensors of both, what is the same included; of the rest of organ.json what differs.
// Borrows nothing.
struct OrganDiff {
  std::vector<MetadataChange> metadata;  // by pointer
  std::vector<FileDiff> files;           // by path
  std::vector<TensorDiff> tensors;       // by file, then as they stand in a, then what b has more

  // Not a byte of organ.json and the files that it lists differs. Signatures are not compared.
  bool is_equal() const;
};

// `a` is what `b` is compared with. Digests of organ.json say what is the same: of that no byte is
// read. What is read is hashed, a phase of its bytes; a tensor that is not what its organ.json says
// throws corrupt. What cannot be opened because it is not there, or was taken away on purpose, has
// no figures. Throws also io, cancelled.
OrganDiff compare_organs(const OrganSource& a, const OrganSource& b, const Work& work = {});

}  // namespace organ::format

#pragma GCC visibility pop
