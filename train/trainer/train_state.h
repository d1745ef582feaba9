// SPDX-License-Identifier: Apache-2.0
// The resumable snapshot of a training run; never published. In a run folder:
//   step-000000050.safetensors   master, first_moment, second_moment: F32 [elements]; average with
//                                --ema, best with --patience once there is one
//   step-000000050.json          TrainStateRecord with the SHA-256 of the former, written last
// Both appear atomically; a snapshot counts only when its record parses and the digest agrees.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "format/base/digest.h"

#pragma GCC visibility push(default)

namespace organ::train {

// The first windows of a measurement that was interrupted, and what they add up to.
struct HeldOutPart {
  std::uint64_t windows = 0;
  double nll = 0;  // the sum, nats
  std::uint64_t targets = 0;
};

// Everything but the numbers.
struct TrainStateRecord {
  std::uint64_t step = 0;     // steps done; the next batch is derived from (seed, step)
  std::uint64_t updates = 0;  // optimiser updates applied (bias correction); skipped steps are not
  std::uint64_t seed = 0;
  std::uint64_t skipped = 0;  // steps left out for a loss or gradient not finite
  std::uint64_t skipped_in_a_row = 0;
  std::uint64_t evaluations_without_gain = 0;  // for early stopping
  std::optional<double> best_nll;              // held out, nats per token
  std::uint64_t best_step = 0;                 // whose weights gave best_nll
  std::uint64_t evaluated_step = 0;            // of the newest evaluation
  std::optional<double> untouched_nll;         // held out, before training
  HeldOutPart untouched_part;                  // of that measurement, while it is under way
  std::uint64_t milliseconds = 0;              // wall time so far
  Digest config_digest;                        // of every setting that changes the numbers
  // TokenStream::digest() of the training data; in the states of before, of each file in order.
  std::vector<Digest> data_digests;
  std::map<std::string, std::string> software;
  // What decides the run, axis by axis (schemas/training.md). best_nll and untouched_nll
  // are of its held-out data. Empty in the states of organs that recorded none.
  std::map<std::string, std::string> identity;
};

// The flat buffers, borrowed while saving; average and best may be empty. Their file gets no
// permission bit that is not among `permissions`: those of the weights they come from.
struct TrainStateBuffers {
  std::span<const float> master, first_moment, second_moment, average, best;
  unsigned permissions = 0666;
};

struct TrainState {
  TrainStateRecord record;
  std::vector<float> master, first_moment, second_moment, average, best;
};

// Writes a snapshot, verifies it by its digest, and only then removes all but the newest `keep`
// older ones and what saves that were cut off left. It is durable on return. `threads`: how many
// may hash at one time, 0: one for each core. Throws io; what was there before stays valid.
void save_train_state(const std::filesystem::path& folder, const TrainStateRecord& record,
                      const TrainStateBuffers& buffers, unsigned threads, std::size_t keep = 2);

// Throws invalid_argument when a snapshot with this record could not be read again: before the
// first step, since it is too late at the first save.
void require_savable(const TrainStateRecord& record);

// The newest snapshot that verifies; `skipped` receives a line for each newer one that does not.
// nullopt when there is none. Throws corrupt when there are some and none verifies.
std::optional<TrainState> load_newest_train_state(const std::filesystem::path& folder,
                                                  std::vector<std::string>& skipped);

// Throws already_exists when the folder holds a snapshot, whole or not: a new run writes into none.
void require_no_train_state(const std::filesystem::path& folder);

// Removes every snapshot of a finished run, durably; other files stay. Throws io.
void remove_train_states(const std::filesystem::path& folder);

}  // namespace organ::train

#pragma GCC visibility pop
