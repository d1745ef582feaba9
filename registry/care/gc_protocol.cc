// SPDX-License-Identifier: Apache-2.0
#include "registry/care/gc_protocol.h"

#include <algorithm>
#include <charconv>

#include "format/base/fail.h"
#include "registry/log/moment.h"

namespace organ::registry {
namespace {

constexpr unsigned kMostDays = 36500;
constexpr std::size_t kTokenHashWidth = 32;

struct Decision {
  GcPlan plan;
  std::vector<GcThing> going;
};

std::string hash_of(const std::string& origin, const GcToken& head,
                    const std::vector<GcThing>& going) {
  std::string text =
      fmt::format("organ gc 1\n{}\n{} {} {}\n", origin,
                  head.action == GcAction::purge ? "purge" : "collect", head.days, head.time);
  for (const GcThing& thing : going) {
    text += fmt::format("{} {} {}\n", thing.place, thing.bytes, thing.changed);
  }
  return sha256(text).hex().substr(0, kTokenHashWidth);
}

std::string token_text(const GcToken& token) {
  return fmt::format("{}-{}-{}-{}", token.action == GcAction::purge ? "purge" : "collect",
                     token.days, token.time, token.digest);
}

// What goes by the clock of the plan. What changed behind that clock is young.
Decision decide(GcStore& store, GcToken head) {
  std::vector<GcThing> things = store.things(head.action);
  const std::set<Digest> needed = store.needed(head.action);
  std::ranges::sort(things, {}, &GcThing::place);
  Decision decision;
  GcPlan& plan = decision.plan;
  plan.action = head.action;
  plan.days = head.days;
  for (GcThing& thing : things) {
    if (needed.contains(thing.digest)) {
      ++plan.needed;
    } else if (head.time - thing.changed < static_cast<std::int64_t>(head.days * kDay) ||
               thing.changed > head.time) {
      ++plan.young;
    } else {
      plan.items.push_back({thing.place, thing.bytes, head.time - thing.changed, thing.why});
      plan.bytes += thing.bytes;
      decision.going.push_back(std::move(thing));
    }
  }
  head.digest = hash_of(store.origin(), head, decision.going);
  plan.token = token_text(head);
  return decision;
}

template <typename Number>
bool read_number(std::string_view text, Number& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() && value >= 0;
}

}  // namespace

GcToken parse_gc_token(std::string_view text) {
  std::vector<std::string_view> parts;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find('-', at), text.size());
    parts.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  GcToken token;
  const bool well_formed = parts.size() == 4 && (parts[0] == "collect" || parts[0] == "purge") &&
                           read_number(parts[1], token.days) && token.days <= kMostDays &&
                           read_number(parts[2], token.time) && parts[3].size() == kTokenHashWidth;
  if (!well_formed) {
    throw Error(ErrorCode::invalid_argument, quote(text) + ": not the token of a plan",
                "organ gc prints a plan and its token");
  }
  token.action = parts[0] == "purge" ? GcAction::purge : GcAction::collect;
  token.digest = parts[3];
  return token;
}

GcPlan plan_gc(GcStore& store, GcAction action, std::int64_t now, unsigned days) {
  if (days > kMostDays) fail(ErrorCode::invalid_argument, "{} days, at most {}", days, kMostDays);
  return decide(store, {.action = action, .days = days, .time = now, .digest = {}}).plan;
}

GcPlan apply_gc(GcStore& store, std::string_view token, std::int64_t now) {
  const GcToken wanted = parse_gc_token(token);
  if (wanted.time > now) {
    fail(ErrorCode::conflict, "the plan was made {} s in the future of this machine's clock",
         wanted.time - now);
  }
  store.lock();
  Decision decision = decide(store, wanted);
  if (decision.plan.token != token) {
    throw Error(ErrorCode::conflict,
                "the plan is no longer true: what would go now is not what it listed",
                "nothing was taken away; organ gc makes a new plan");
  }
  for (const GcThing& thing : decision.going) store.take_away(wanted.action, thing);
  store.finish(wanted.action);
  return std::move(decision.plan);
}

}  // namespace organ::registry
