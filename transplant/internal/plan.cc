// SPDX-License-Identifier: Apache-2.0
#include "transplant/internal/plan.h"

#include <memory>
#include <utility>

#include "format/base/fail.h"
#include "format/checkpoint/checkpoint_copy.h"
#include "format/tensor/convert.h"
#include "transplant/internal/verified_file.h"

namespace organ::transplant {
namespace {

using format::TensorInfo;
using format::TensorSource;

TensorSource verified_source(std::shared_ptr<VerifiedFile> file, const format::FileEntry& entry,
                             const TensorInfo& tensor) {
  TensorSource source;
  source.info = tensor;
  source.read = [file = std::move(file), start = entry.data_start + tensor.offset](
                    std::uint64_t offset, std::span<std::byte> out) {
    file->read(start + offset, out);
  };
  return source;
}

// The organ's tensor under the name and in the element type of the recipient's.
TensorSource fit(TensorSource source, const TensorInfo& target, InstallPlan& plan) {
  source.info.name = target.name;
  if (source.info.shape != target.shape) {
    fail(ErrorCode::incompatible, "tensor {}: the organ has {}, the recipient {}",
         quote(target.name), format::to_string(source.info.shape), format::to_string(target.shape));
  }
  if (source.info.dtype == target.dtype) return source;
  if (!format::can_convert(source.info.dtype, target.dtype)) {
    fail(ErrorCode::incompatible, "tensor {}: {} is not converted to {}", quote(target.name),
         to_string(source.info.dtype), to_string(target.dtype));
  }
  plan.conversions.push_back({target.name, source.info.dtype, target.dtype});
  return format::converted_source(std::move(source), target.dtype);
}

void plan_layer(const format::OrganSource& organ, const format::FileEntry& entry,
                const std::map<std::string, format::Checkpoint::Location>& layer,
                InstallPlan& plan) {
  // shared: one reader serves the sources of all tensors of the file
  const auto file = std::make_shared<VerifiedFile>(organ, entry);
  std::size_t placed = 0;
  for (const TensorInfo& tensor : entry.tensors) {
    const auto found = layer.find(tensor.name);
    if (found == layer.end()) {
      fail(ErrorCode::incompatible, "tensor {}: the recipient's layer has none of this name",
           quote(tensor.name));
    }
    ++placed;
    plan.writes[found->second.shard].push_back(
        fit(verified_source(file, entry, tensor), *found->second.tensor, plan));
  }
  if (placed != layer.size()) {
    fail(ErrorCode::incompatible, "{}: has {}, the recipient's layer {}", quote(entry.path),
         counted(placed, "tensor"), layer.size());
  }
}

}  // namespace

InstallPlan plan_replacement(const format::OrganSource& organ, const format::Checkpoint& recipient,
                             std::uint64_t position) {
  InstallPlan plan;
  for (std::uint64_t i = 0; i < organ.manifest().layer_count(); ++i) {
    const std::string name = format::Manifest::layer_file_name(i);
    const format::FileEntry* entry = organ.manifest().find_file(name);
    if (entry == nullptr) fail(ErrorCode::corrupt, "{}: is missing", quote(name));
    const auto layer = recipient.layer(position + i);
    for (const auto& [tensor, place] : layer) {
      format::require_stored_once(recipient, place.tensor->name);
    }
    plan_layer(organ, *entry, layer, plan);
  }
  return plan;
}

}  // namespace organ::transplant
