// SPDX-License-Identifier: Apache-2.0
#include "cli/organ/pending.h"

#include <string_view>

#include <nlohmann/json.hpp>

#include "cli/frame/context.h"
#include "cli/frame/long_work.h"
#include "format/base/fail.h"
#include "format/base/path_status.h"
#include "transplant/journal.h"

namespace organ::cli {
namespace {

void require_folder(const std::string& model) {
  if (!is_folder(model)) fail(ErrorCode::not_found, "{}: no such folder", quote(model));
}

using transplant::Abandoned;
using transplant::Pending;
using transplant::Recovery;

std::string_view words_of(Abandoned::FileState state) {
  switch (state) {
    case Abandoned::FileState::old: return "old";
    case Abandoned::FileState::changed: return "new";
    case Abandoned::FileState::unknown: return "unknown";
  }
  fail(ErrorCode::internal, "no such state of a file");
}

std::string_view words_of(Recovery recovery) {
  switch (recovery) {
    case Recovery::nothing: return "nothing was pending";
    case Recovery::discarded:
      return "what an undecided change had prepared is removed; the model was never touched";
    case Recovery::completed: return "the decided change is finished";
  }
  fail(ErrorCode::internal, "no such recovery");
}

std::string_view words_of(Pending pending) {
  switch (pending) {
    case Pending::nothing: return "nothing was pending";
    case Pending::undecided: return "the undecided change is given up; the model was never touched";
    case Pending::decided:
      return "the decided change is given up; no file of the model was touched";
  }
  fail(ErrorCode::internal, "no such pending change");
}

std::string_view word(Pending pending) {
  if (pending == Pending::nothing) return "nothing";
  return pending == Pending::undecided ? "undecided" : "decided";
}

nlohmann::json abandoned_json(const std::string& model, const Abandoned& given_up) {
  nlohmann::json files = nlohmann::json::object();
  for (const auto& [name, state] : given_up.files) files[name] = words_of(state);
  nlohmann::json record = {{"folder", model},
                           {"action", "abort"},
                           {"pending", word(given_up.pending)},
                           {"files", std::move(files)},
                           {"aside", nullptr}};
  if (given_up.aside) record["aside"] = given_up.aside->string();
  return record;
}

}  // namespace

void continue_change(Context& context, const std::string& model, unsigned threads) {
  require_folder(model);
  Pending pending = Pending::nothing;
  const Recovery recovery = watched(context, threads, [&](const Work& work) {
    pending = transplant::pending_change(model);
    return transplant::recover_journal(model, work);
  });
  context.set_done(std::string(words_of(recovery)));
  if (context.json) {
    context.print_json("install",
                       {{"folder", model}, {"action", "continue"}, {"pending", word(pending)}});
    return;
  }
  context.confirm(fmt::format("{}: {}", escape_text(model), words_of(recovery)));
}

void give_up_change(Context& context, const std::string& model, unsigned threads) {
  require_folder(model);
  const Abandoned given_up = watched(
      context, threads, [&](const Work& work) { return transplant::abort_change(model, work); });
  context.set_done(std::string(words_of(given_up.pending)));
  if (context.json) {
    context.print_json("install", abandoned_json(model, given_up));
    return;
  }
  context.confirm(fmt::format("{}: {}", escape_text(model), words_of(given_up.pending)));
  for (const auto& [name, state] : given_up.files) {
    context.confirm(fmt::format("  {}: {}", escape_text(name), words_of(state)));
  }
  if (given_up.aside) {
    context.note("what it had prepared is kept in " + escape_text(given_up.aside->string()));
  }
}

}  // namespace organ::cli
