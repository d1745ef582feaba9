// SPDX-License-Identifier: Apache-2.0
// `organ log prove`: that an entry is in the log, as a document for who has no registry.
#include <algorithm>
#include <charconv>

#include <nlohmann/json.hpp>

#include "cli/frame/long_work.h"
#include "cli/log/commands.h"
#include "cli/registry/open_registry.h"
#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/manifest/reference.h"
#include "registry/history/log_proof.h"

namespace organ::cli {
namespace {

using registry::LogProof;
using registry::Registry;

struct LogProveArguments {
  std::string what;
  std::filesystem::path out;
};

// A number is an entry; anything else a version, and its publish entry is meant.
std::uint64_t index_of(const Registry& registry, const std::string& what) {
  const bool is_number =
      std::all_of(what.begin(), what.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (!is_number) return registry.resolve(format::Reference::parse(what)).log_index;
  std::uint64_t index = 0;
  const auto [end, error] = std::from_chars(what.data(), what.data() + what.size(), index);
  if (what.empty() || error != std::errc() || end != what.data() + what.size()) {
    fail(ErrorCode::invalid_argument, "{}: no number of an entry", quote(what));
  }
  return index;
}

void run(Context& context, const LogProveArguments& arguments) {
  if (!arguments.out.empty()) require_folder_above(arguments.out);
  const Registry registry = open_registry(context, Registry::Mode::read);
  const LogProof proof =
      registry::prove_entry(registry.folder(), index_of(registry, arguments.what));
  const std::string text = proof.to_text();
  if (arguments.out.empty()) {
    if (context.json) {
      context.print_json("log prove", {{"proof", nlohmann::json::parse(text)}});
    } else {
      context.print(std::string_view(text).substr(0, text.size() - 1));  // print ends the line
    }
    return;
  }
  completed(context, "the proof is written",
            [&] { write_file(arguments.out, text, AtomicFile::Mode::create_new); });
  if (context.json) {
    context.print_json("log prove", {{"path", escape_text(arguments.out.string(), 4096)},
                                     {"index", proof.index},
                                     {"log_key", proof.log_key}});
    return;
  }
  context.confirm(fmt::format("entry {} is proved by {} and a checkpoint: {}", proof.index,
                              counted(proof.hashes.size(), "hash"),
                              escape_text(arguments.out.string())));
  context.confirm("log key  " + proof.log_key);
}

}  // namespace

void add_log_prove(Command& log, Context& context) {
  Command command = log.add_command(
      context, "prove", "prove to who has no registry that its signed log holds an entry",
      "  organ log prove legal/contracts:1.0.0 --out contracts.proof\n"
      "  organ log prove 41 --json");
  auto arguments = std::make_shared<LogProveArguments>();
  command.add_option("REF|INDEX", arguments->what, "a version's publish entry, or a number")
      .required();
  command
      .add_path("--out", arguments->out, "a new file for the document [default: standard output]")
      .value_name("FILE");
  command.on_run([&context, arguments] { run(context, *arguments); });
}

}  // namespace organ::cli
