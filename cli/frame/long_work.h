// SPDX-License-Identifier: Apache-2.0
// Long work of a command: watched on a terminal, ended by Ctrl-C.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <type_traits>

#include "cli/frame/context.h"
#include "cli/frame/interrupt.h"
#include "cli/frame/meter.h"
#include "format/base/error.h"
#include "format/base/progress.h"

namespace organ::cli {

class Command;

// While one lives, a meter shows how far the work is (with --progress, or on a terminal). What the
// context has to say meanwhile waits for its end. Borrows the context, but for its life only; one
// at a time for one context. begin and advance may be called by any thread.
class ShownWork : public Progress {
 public:
  explicit ShownWork(const Context& context) {
    if (!context.show_progress()) return;
    silence_.emplace(context);
    meter_.emplace();
  }

  void begin(std::string_view phase, std::uint64_t total, Unit unit) override {
    if (meter_) meter_->begin(phase, total, unit);
  }
  void advance(std::uint64_t amount) override {
    if (meter_) meter_->advance(amount);
  }

 private:
  std::optional<Context::Silence> silence_;  // ends behind the meter
  std::optional<Meter> meter_;
};

// The same of work that changes something: SIGINT, SIGTERM and SIGHUP ask it to end.
// That holds to the end, also of the meter: who waits for a terminal has done his work.
class LongWork final : private InterruptGuard, public ShownWork {
 public:
  explicit LongWork(const Context& context) : ShownWork(context) {}
  bool cancelled() const override { return requested(); }
};

// Runs `action(work)`, which writes nothing, and returns what it returns: a signal ends the process
// at once.
template <typename Action>
auto shown(const Context& context, const Action& action) {
  ShownWork running(context);
  return action(Work(&running));
}

// "interrupted: nothing was changed".
[[noreturn]] void throw_interrupted();  // what people read of Error(cancelled)

// Runs `action(work)` as long work and returns what it returns.
// `threads`: how many may work at one time, 0: one for each core. An Error(cancelled) of the action
// becomes that of throw_interrupted, so it is for work that leaves nothing when it is cancelled.
// All else that it throws is thrown on, when meter and guard are gone.
template <typename Action>
auto watched(const Context& context, unsigned threads, const Action& action) {
  LongWork running(context);
  try {
    return action(Work(&running, threads));
  } catch (const Error& error) {
    if (error.code() == ErrorCode::cancelled) throw_interrupted();
    throw;
  }
}

// Runs a change that is short and made whole or not at all, and returns what it returns: a signal
// that came before ends the command, one that comes later lets it be completed, and from then on
// `done` holds.
// Throws as watched; where the action throws, `done` does not hold.
template <typename Action>
auto completed(Context& context, const char* done, const Action& action) {
  return watched(context, 0, [&](const Work& work) {
    work.require_wanted();
    if constexpr (std::is_void_v<decltype(action())>) {
      action();
      context.set_done(done);
    } else {
      auto result = action();
      context.set_done(done);
      return result;
    }
  });
}

// The option --threads of a command whose work is hashing; 0: one for each core.
void add_threads_option(Command& command, unsigned& threads);

}  // namespace organ::cli
