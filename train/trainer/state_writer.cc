// SPDX-License-Identifier: Apache-2.0
#include "train/trainer/internal/state_writer.h"

#include <utility>

namespace organ::train {

void StateWriter::start(std::function<void()> save) {
  finish();
  writing_ = std::async(std::launch::async, std::move(save));
}

void StateWriter::finish() {
  if (writing_.valid()) writing_.get();
}

}  // namespace organ::train
