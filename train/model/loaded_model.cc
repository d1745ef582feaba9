// SPDX-License-Identifier: Apache-2.0
#include "train/model/loaded_model.h"

#include "train/model/model_access.h"

namespace organ::train {

struct LoadedModel::Impl {
  format::Checkpoint checkpoint;
  MachineChoice machine;
  Model model;  // shared, never run
};

LoadedModel::LoadedModel(std::unique_ptr<const Impl> impl) : impl_(std::move(impl)) {}
LoadedModel::LoadedModel(LoadedModel&&) noexcept = default;
LoadedModel& LoadedModel::operator=(LoadedModel&&) noexcept = default;
LoadedModel::~LoadedModel() = default;

LoadedModel LoadedModel::load(format::Checkpoint checkpoint, Precision precision,
                              const MachineChoice& machine) {
  Model model = on_machine(machine, 1, [&](at::Device device) {
    return Model::load(checkpoint, {.precision = precision, .device = device});
  });
  return LoadedModel(
      std::make_unique<const Impl>(Impl{std::move(checkpoint), machine, std::move(model)}));
}

const format::Checkpoint& LoadedModel::checkpoint() const { return impl_->checkpoint; }
Precision LoadedModel::precision() const { return impl_->model.precision(); }
const MachineChoice& LoadedModel::machine() const { return impl_->machine; }
std::int64_t LoadedModel::hidden_size() const { return impl_->model.hidden_size(); }
std::int64_t LoadedModel::vocab_size() const { return impl_->model.vocab_size(); }
std::int64_t LoadedModel::layer_count() const { return impl_->model.layer_count(); }

Model ModelAccess::share(const LoadedModel& loaded) { return loaded.impl_->model.share(); }

}  // namespace organ::train
