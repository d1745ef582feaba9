// SPDX-License-Identifier: Apache-2.0
// A model in memory, for hosts that ask more than one thing of it: it is loaded once and then
// measured (train/evaluate/measure_checkpoint.h), looked into (train/passes/sequence.h), asked for
// text (train/generate/generation.h) and trained (TrainInputs::model). Whatever is done with it,
// its weights stay those of its checkpoint. No Torch.
#pragma once

#include <cstdint>
#include <memory>

#include "format/checkpoint/checkpoint.h"
#include "train/machine/machine_choice.h"
#include "train/machine/precision.h"

#pragma GCC visibility push(default)

namespace organ::train {

// Move-only; whoever uses it borrows the checkpoint, which stays where it is when this is moved.
// Immutable, so that several threads may use one at a time: each use computes with layers of its
// own over the same weights, on as many threads as the machine's choice says (who calls has
// afterwards as many as before, so that an observer's use changes no bit of its run). A run reads
// what it trains, and the digests that it records, from the checkpoint's files again, which are
// kept open: that others replace them (as organ does) is no matter, that others write into them is.
class LoadedModel {
 public:
  // Takes all layers into the memory of the machine's device. Throws device, io, corrupt from the
  // checkpoint; incompatible for a family whose maths is not known.
  static LoadedModel load(format::Checkpoint checkpoint, Precision precision = Precision::fp32,
                          const MachineChoice& machine = {});
  LoadedModel(LoadedModel&&) noexcept;
  LoadedModel& operator=(LoadedModel&&) noexcept;
  ~LoadedModel();

  // What it was loaded from: data are read for this, and a run names it.
  const format::Checkpoint& checkpoint() const;
  Precision precision() const;           // of the arithmetic
  const MachineChoice& machine() const;  // its device is where the weights are
  std::int64_t hidden_size() const;
  std::int64_t vocab_size() const;
  // Layers as they run: of an encoder-decoder those of both stacks.
  std::int64_t layer_count() const;

 private:
  friend struct ModelAccess;
  struct [[gnu::visibility("hidden")]] Impl;
  explicit LoadedModel(std::unique_ptr<const Impl> impl);
  std::unique_ptr<const Impl> impl_;
};

}  // namespace organ::train

#pragma GCC visibility pop
