// SPDX-License-Identifier: Apache-2.0
#include "train/trainer/internal/weight_choice.h"

#include <ATen/ATen.h>

namespace organ::train {

WeightChoice::WeightChoice(TrainedParameters& trained, double decay)
    : trained_(trained), decay_(decay) {
  if (decay > 0) average_ = master().clone();
}

void WeightChoice::follow(std::uint64_t update, unsigned threads) {
  if (average_.defined()) average_step(average_, master(), ema_decay(decay_, update), threads);
}

void WeightChoice::swap_average() {
  const at::Tensor weights = master().clone();
  master().copy_(average_);
  average_.copy_(weights);
  average_in_place_ = !average_in_place_;
}

void WeightChoice::put_candidate_in_place() {
  if (average_.defined()) swap_average();
  trained_.refresh_working();
}

void WeightChoice::put_trained_in_place(std::uint64_t updates) {
  if (average_in_place_) swap_average();
  if (updates > 0) {
    trained_.refresh_working(updates);
  } else {
    trained_.refresh_working();
  }
}

void WeightChoice::keep_best() { best_ = master().clone(); }

const at::Tensor& WeightChoice::make_best() {
  best_ = at::empty_like(master());
  return best_;
}

PublishedWeights WeightChoice::publish() {
  put_candidate_in_place();
  if (!best_.defined()) {
    return average_.defined() ? PublishedWeights::average : PublishedWeights::last;
  }
  master().copy_(best_);
  trained_.refresh_working();
  return PublishedWeights::best;
}

}  // namespace organ::train
