// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>

#include "cli/frame/long_work.h"
#include "cli/train/commands.h"
#include "cli/train/left_out.h"
#include "format/base/fail.h"
#include "format/checkpoint/checkpoint.h"
#include "train/adapter/adapter_tokenizer.h"
#include "train/adapter/merge.h"
#include "transplant/journal.h"

namespace organ::cli {
namespace {

struct TrainImportArguments {
  std::string adapter, model, out;
  unsigned threads = 0;
};

void run_import(Context& context, const TrainImportArguments& a) {
  require_outside(a.out, a.model);
  require_folder_above(a.out);
  transplant::require_settled(a.model);
  const auto checkpoint = format::Checkpoint::open(a.model);
  context.warn_of(checkpoint.warnings());
  const auto adapter = train::read_adapter(a.adapter, checkpoint.architecture());
  if (const auto warning = train::compare_tokenizers(checkpoint, a.adapter)) {
    context.warn(*warning);
  }
  const auto left_out = note_left_out(context, checkpoint);
  watched(context, a.threads,
          [&](const Work& work) { train::merge_adapter(checkpoint, adapter, a.out, work); });
  context.set_done("the checkpoint is written to " + quote(a.out));
  if (context.json) {
    context.print_json("import", {{"folder", a.out},
                                  {"adapter", a.adapter},
                                  {"model", a.model},
                                  {"kind", to_string(adapter.config.kind)},
                                  {"projections", adapter.projections.size()},
                                  {"left_out", left_out}});
    return;
  }
  context.confirm(fmt::format("{}: {} with the {} adapter of {} in {} of its projections",
                              escape_text(a.out), escape_text(a.model),
                              to_string(adapter.config.kind), escape_text(a.adapter),
                              adapter.projections.size()));
}

}  // namespace

void add_import(Command& app, Context& context) {
  const auto arguments =
      std::make_shared<TrainImportArguments>();  // lives as long as the parser's callback
  Command command = app.add_command(
      context, "import", "merge a PEFT adapter (LoRA, IA3) into a copy of its model",
      "  organ import law-lora --into SmolLM2-135M --out SmolLM2-135M-law\n"
      "  organ import hub/adapter --into model --out merged --json");
  command.add_path("ADAPTER", arguments->adapter, "folder with adapter_config.json").required();
  command.add_path("--into", arguments->model, "checkpoint folder the adapter was made for")
      .required()
      .value_name("MODEL");
  command.add_path("--out", arguments->out, "new folder").required().value_name("DIR");
  add_threads_option(command, arguments->threads);
  command.on_run([&context, arguments] { run_import(context, *arguments); });
}

}  // namespace organ::cli
