// SPDX-License-Identifier: Apache-2.0
// Which weights a run measures on held-out data and leaves behind: the last ones, their moving
// average, or the best.
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

#include "train/optimize/trained_parameters.h"
#include "train/trainer/trainer.h"

namespace organ::train {

// Borrows what trains. Not thread-safe.
class WeightChoice {
 public:
  // `decay` of the moving average after its warm-up (ema_decay), which starts as the weights; 0:
  // none is kept.
  WeightChoice(TrainedParameters& trained, double decay);

  // After each update of the weights; `update` counts from 1.
  // Moves the average, where there is one, towards the weights; `threads` on the CPU only.
  void follow(std::uint64_t update, unsigned threads);

  // Until put_trained_in_place the layers compute with what would be published now, rounded to
  // nearest.
  void put_candidate_in_place();
  // Working weights as update number `updates`, counted from 1, left them; 0: as they came.
  void put_trained_in_place(std::uint64_t updates);
  // Keeps the candidate, which is in place, as the best so far.
  void keep_best();
  // Puts the weights to publish in place, the best where some were kept; says which they are.
  PublishedWeights publish();

  // For train states: the weights that train, wherever they are now; their average, undefined
  // without; the best, undefined before some were kept.
  at::Tensor training() const { return average_in_place_ ? average_ : master(); }
  at::Tensor average() const { return average_in_place_ ? master() : average_; }
  const at::Tensor& best() const { return best_; }
  // A place for the best of a resumed run.
  const at::Tensor& make_best();

 private:
  at::Tensor master() const { return trained_.tensors().master; }
  void swap_average();

  TrainedParameters& trained_;
  double decay_;
  at::Tensor average_, best_;      // flat as the master weights and where they are
  bool average_in_place_ = false;  // average_ and the master weights have changed places
};

}  // namespace organ::train
