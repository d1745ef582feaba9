// SPDX-License-Identifier: Apache-2.0
// What decides a run's numbers and its figures, axis by axis: a train state is only continued by
// the run that it is of. schemas/training.md defines the axes. No Torch.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "format/base/digest.h"
#include "train/trainer/train_state.h"
#include "train/trainer/trainer.h"

namespace organ::train {

// By axis a short text: a number, a name, a digest. What a run does not have has no axis. A train
// state's record holds it as `identity`.
using RunIdentity = std::map<std::string, std::string>;

// Of the axis for the kind of device that computes.
inline constexpr std::string_view kDeviceAxis = "device";

// `weights`: weights_digest of the checkpoint. `device`: "cpu", "cuda".
RunIdentity run_identity(const TrainInputs& inputs, const Digest& weights, std::string_view device);

// Throws invalid_argument with the first axis in which the run differs from its train state of step
// `step`, a cause before what follows from it: what it is, what it has to be.
void require_same_run(const RunIdentity& saved, const RunIdentity& current, std::uint64_t step);

// The same for the state of an organ that recorded no identity, by what it did record. Returns what
// could not be compared, for a note.
std::string require_same_older_run(const TrainStateRecord& saved, const TrainStateRecord& current,
                                   const TrainSettings& settings, bool held_out);

// Of what the processes of a run must agree on: all axes but the device.
Digest common_digest(const RunIdentity& identity);

}  // namespace organ::train
