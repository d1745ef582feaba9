// SPDX-License-Identifier: Apache-2.0
// The held-out figures of a run: the loss of the model as it stands, protocol P0.
#pragma once

#include <cstdint>
#include <functional>

#include "train/data/dataset.h"
#include "train/model/model.h"
#include "train/passes/loss_path.h"
#include "train/passes/prefix_cache.h"
#include "train/processes/process_group.h"
#include "train/trainer/train_state.h"
#include "train/trainer/trainer.h"

namespace organ::train {

// Borrows model, data and group. Each of several processes computes some of the passes, so that all
// call the same functions together; all get the same figures. Not thread-safe.
class HeldOut {
 public:
  // `whole` runs from the organ's input to the top of the model; `below` says how the streams that
  // enter it are kept. `batch`: windows per pass.
  HeldOut(Model& model, const Dataset& data, const LossPath& whole, const PrefixOptions& below,
          std::int64_t batch, ProcessGroup& group);

  // In windows. May end a measurement by an exception.
  using BeforePass = std::function<void(std::int64_t done, std::int64_t total)>;

  // Of the whole model. Both call `before_pass` before each pass, those of other processes too. The
  // streams below the organ are computed once and kept as PrefixOptions say; embeddings are
  // computed again.
  HeldOutLoss loss(const BeforePass& before_pass);
  // The same behind the windows of `part`, which were measured before; whenever `before_pass` is
  // called it holds all that were. Of several processes each has its own, of its passes.
  HeldOutLoss loss(const BeforePass& before_pass, HeldOutPart& part);
  // Whether these data can have such a part: whole passes, and the targets that are in them.
  bool fits(const HeldOutPart& part) const;
  // Of Embed o Organ o Head, whose layers and head `wrapper` runs.
  HeldOutLoss wrapper_loss(const LossPath& wrapper, const BeforePass& before_pass);
  // Of all windows: what loss() counts.
  std::int64_t targets() const { return targets_of(data_.windows()); }

  // Windows whose stream below the organ was computed, or read from the cache folder.
  const PrefixCounts& counts() const { return streams_.counts(); }

 private:
  std::int64_t targets_of(std::int64_t windows) const;  // of the first
  HeldOutLoss measure(const LossPath& path, PrefixCache& inputs, const BeforePass& before_pass,
                      HeldOutPart& part);

  const Dataset& data_;
  LossPath whole_;
  PrefixCache streams_, embeddings_;
  std::int64_t batch_;
  ProcessGroup& group_;
};

}  // namespace organ::train
