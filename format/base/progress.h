// SPDX-License-Identifier: Apache-2.0
// How a host watches, bounds and ends long work: hashing, copying, publishing, installing,
// training. Whatever takes long takes a `const Work&` whose default does nothing at all.
#pragma once

#include <cstdint>
#include <string_view>

#include "format/base/error.h"

#pragma GCC visibility push(default)

namespace organ {

// What the amounts of a phase count: bytes read, hashed or written, or things done.
enum class Unit { bytes, items };

// What the host implements. advance() and cancelled() are called by any thread of the work, several
// at a time and every few hundred microseconds; begin() only by the one that called the library.
// None of them may throw. The object must outlive the call that it was given to.
class Progress {
 public:
  virtual ~Progress() = default;

  // The work goes over to something else: `total` units of it are ahead, 0 when nobody knows. What
  // advance() tells from here on belongs to it, and adds up to `total` when nothing fails. The name
  // ("verifying") lives as long as the call.
  virtual void begin(std::string_view phase, std::uint64_t total, Unit unit) = 0;
  virtual void advance(std::uint64_t amount) = 0;  // so much more was done, in units of the phase
  // Once true, always true: the work ends at its next step with Error(cancelled) and leaves nothing
  // behind, unless its commit point is passed: then it is completed first.
  virtual bool cancelled() const { return false; }
};

// The hook and the thread limit of one call. A small value; copies share the hook.
class Work {
 public:
  Work() = default;
  // `progress` is borrowed; nullptr: nobody watches. `threads`: how many may hash at one time, the
  // caller's own included; 0: one for each core.
  explicit Work(Progress* progress, unsigned threads = 0)
      : progress_(progress), threads_(threads) {}

  // The work of one phase. A phase inside another is a part of it and is not announced.
  Work phase(std::string_view name, std::uint64_t total, Unit unit = Unit::bytes) const;
  // The same work without figures: what is read twice only to say what is damaged.
  Work uncounted() const;
  // The same work with another thread limit, 0: one for each core.
  Work with_threads(unsigned threads) const;
  // The same work behind its commit point: nothing ends it any more.
  Work committed() const;

  // Tells the host, then throws Error(cancelled) when it wants an end.
  void advance(std::uint64_t amount) const {
    if (progress_ == nullptr) return;
    if (counted_) progress_->advance(amount);
    require_wanted();
  }
  // Throws Error(cancelled) when the host wants an end.
  void require_wanted() const {
    if (progress_ != nullptr && !committed_ && progress_->cancelled()) throw_cancelled();
  }

  unsigned threads() const;  // at least 1

 private:
  [[noreturn]] static void throw_cancelled();

  Progress* progress_ = nullptr;
  unsigned threads_ = 0;
  bool in_phase_ = false;
  bool counted_ = true;
  bool committed_ = false;
};

}  // namespace organ

#pragma GCC visibility pop
