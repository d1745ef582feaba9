// SPDX-License-Identifier: Apache-2.0
#include "registry/care/gc.h"

#include <nlohmann/json.hpp>

#include "cli/frame/amounts.h"
#include "cli/frame/long_work.h"
#include "cli/registry/care_output.h"
#include "cli/registry/commands.h"
#include "format/base/fail.h"

namespace organ::cli {
namespace {

using registry::GcAction;
using registry::GcItem;
using registry::GcPlan;

struct GcArguments {
  std::filesystem::path folder;
  bool purge = false;
  std::optional<std::string> token;
  std::optional<std::uint64_t> days;
};

nlohmann::json record_of(const GcPlan& plan, bool applied) {
  nlohmann::json items = nlohmann::json::array();
  for (const GcItem& item : plan.items) {
    items.push_back({{"place", escape_text(item.place)},
                     {"bytes", item.bytes},
                     {"age_seconds", item.age},
                     {"why", item.why}});
  }
  return {{"action", plan.action == GcAction::purge ? "purge" : "collect"},
          {"applied", applied},
          {"days", plan.days},
          {"token", plan.token},
          {"items", items},
          {"bytes", plan.bytes},
          {"needed", plan.needed},
          {"young", plan.young}};
}

std::string age_text(std::int64_t seconds) {
  constexpr std::int64_t kDay = std::int64_t{24} * 60 * 60;
  return seconds >= kDay ? fmt::format("{} d", seconds / kDay)
                         : clock_text(static_cast<std::uint64_t>(seconds));
}

void print_items(const Context& context, const GcPlan& plan) {
  for (const GcItem& item : plan.items) {
    context.print(fmt::format("{:>9}  {:>8}  {}  {}", size_text(item.bytes), age_text(item.age),
                              escape_text(item.place), item.why));
  }
}

void show_plan(const Context& context, const GcPlan& plan) {
  print_items(context, plan);
  context.note(fmt::format("what stays: {} that something needs, {} younger than {}", plan.needed,
                           plan.young, counted(plan.days, "day")));
  if (plan.items.empty()) return context.note("nothing to take away");
  context.note(plan.action == GcAction::purge
                   ? "these are deleted for good by: organ gc --apply TOKEN"
                   : "these go to organ/quarantine by: organ gc --apply TOKEN");
  context.print(fmt::format("{} in {}, token {}", size_text(plan.bytes),
                            counted(plan.items.size(), "thing"), plan.token));
}

void run(Context& context, const GcArguments& arguments) {
  const std::filesystem::path folder = registry_folder(context, arguments.folder);
  const registry::OpenOptions options{.known_registries = context.known_registries(),
                                      .log_key = {}};
  const GcAction action = arguments.purge ? GcAction::purge : GcAction::collect;
  const std::uint64_t usual = arguments.purge ? registry::kQuarantineDays : registry::kGraceDays;
  const auto days = static_cast<unsigned>(arguments.days.value_or(usual));
  const bool apply = arguments.token.has_value();
  const GcPlan plan = watched(context, 0, [&](const Work& work) {
    return apply ? registry::apply_gc(folder, *arguments.token, options, work)
                 : registry::plan_gc(folder, action, days, options, work);
  });
  if (apply) context.set_done("what the plan named is taken away");
  note_registry(context, folder);
  for (const std::string& notice : plan.notices) context.note(escape_text(notice, 4096));
  if (context.json) {
    context.print_json("gc", record_of(plan, apply));
  } else if (apply) {
    context.confirm(fmt::format("{} in {} {}", size_text(plan.bytes),
                                counted(plan.items.size(), "thing"),
                                plan.action == GcAction::purge ? "deleted" : "taken away"));
  } else {
    show_plan(context, plan);
  }
}

}  // namespace

void add_gc(Command& app, Context& context) {
  Command command = app.add_command(
      context, "gc", "plan what a registry can do without, and take it away by the plan's token",
      "  organ gc\n"
      "  organ gc --apply TOKEN\n"
      "  organ gc --purge --days 30");
  auto arguments = std::make_shared<GcArguments>();
  add_registry_argument(command, arguments->folder);
  const Option token =
      command.add_option("--apply", arguments->token, "do what the plan of this token says")
          .value_name("TOKEN");
  command.add_flag("--purge", arguments->purge, "plan to delete what lies in the quarantine")
      .excludes(token);
  command
      .add_option("--days", arguments->days,
                  "leave alone what is younger [default: 14, of the quarantine 30]")
      .value_name("N")
      .within(0, 36500)
      .excludes(token);
  command.on_run([&context, arguments] { run(context, *arguments); });
}

}  // namespace organ::cli
