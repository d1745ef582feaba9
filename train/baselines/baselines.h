// SPDX-License-Identifier: Apache-2.0
// The rivals of an organ, trained on the same data under the same budget.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "train/adapter/adapter.h"
#include "train/trainer/trainer.h"

namespace organ::train {

// Trains the numbers of an adapter, the model frozen; `adapter` holds the trained ones afterwards.
// settings.layers spans the adapted layers and settings.method is the adapter's configuration.
// Throws as train_layers.
TrainResult train_adapter(const TrainInputs& inputs, Adapter& adapter);

// The mean |d loss / d w| over the parameters of each layer, the loss being that of the first step
// of a run with these settings. Throws as train_layers.
std::vector<double> gradient_magnitudes(const format::Checkpoint& checkpoint,
                                        const TrainSettings& settings, const Dataset& data);

// The `count` layers of largest magnitude, ascending; the lower of two equal ones.
std::vector<std::uint64_t> top_layers(std::span<const double> magnitudes, std::uint64_t count);

// Trains some layers in place, which need not stand together; settings.layers spans them. Throws as
// train_layers.
TrainResult train_chosen_layers(const TrainInputs& inputs, std::span<const std::uint64_t> layers);

// Trains every number of the model: embeddings, layers, the norm behind them and the head, which
// stays tied where it is. For causal models; settings.layers spans all layers. Throws as
// train_layers.
TrainResult train_whole_model(const TrainInputs& inputs);

// The `count` elements of largest magnitude; of equal ones the first.
std::vector<bool> top_elements(std::span<const float> gradient, std::uint64_t count);

// How many of `elements` a share is, one at least. Throws invalid_argument outside (0, 1].
std::uint64_t elements_in(double share, std::uint64_t elements);

// Trains that share of all layers' weights whose gradient, that of the run's first step, is
// largest; TrainResult::trainable is their number. settings.layers spans all layers. Throws as
// train_layers.
TrainResult train_top_elements(const TrainInputs& inputs, double share);

}  // namespace organ::train
