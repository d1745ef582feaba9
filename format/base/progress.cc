// SPDX-License-Identifier: Apache-2.0
#include "format/base/progress.h"

#include "format/base/error.h"
#include "format/base/try_thread.h"

namespace organ {

Work Work::phase(std::string_view name, std::uint64_t total, Unit unit) const {
  require_wanted();
  Work part = *this;
  if (progress_ != nullptr && counted_ && !in_phase_) progress_->begin(name, total, unit);
  part.in_phase_ = true;
  return part;
}

Work Work::uncounted() const {
  Work other = *this;
  other.counted_ = false;
  return other;
}

Work Work::with_threads(unsigned threads) const {
  Work other = *this;
  other.threads_ = threads;
  return other;
}

Work Work::committed() const {
  Work other = *this;
  other.committed_ = true;
  return other;
}

unsigned Work::threads() const { return threads_ != 0 ? threads_ : usable_processors(); }

void Work::throw_cancelled() { throw Error(ErrorCode::cancelled, "cancelled"); }

}  // namespace organ
