// SPDX-License-Identifier: Apache-2.0
#include "cli/train/arguments.h"

#include <cmath>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "cli/frame/amounts.h"
#include "cli/frame/command.h"
#include "cli/frame/long_work.h"
#include "cli/frame/parse_option.h"
#include "format/base/fail.h"
#include "format/base/new_folder.h"
#include "format/base/path_status.h"
#include "format/checkpoint/folder_rules.h"
#include "format/manifest/evaluation_json.h"
#include "train/evaluate/protocol.h"
#include "train/probes/data_probes.h"
#include "train/probes/finding.h"
#include "train/processes/process_place.h"
#include "train/trainer/train_state.h"

namespace organ::cli {
namespace {

// What the options name; nothing where they name nothing.
train::DataSource source_of(const std::vector<std::string>& texts, const std::string& ids) {
  return {{texts.begin(), texts.end()}, std::filesystem::path(ids)};
}

train::RunDataOptions data_options(const TrainArguments& a, const train::TrainSettings& wishes) {
  return {.training = source_of(a.data, a.ids),
          .held_out = source_of(a.held_out, a.held_out_ids),
          .held_out_share = a.held_out_share,
          .padding_id = a.padding_id,
          .split = a.documents,
          .lead_in = a.lead_in,
          .packing = wishes.packing,
          .context = wishes.context,
          .seed = wishes.seed};
}

void check_data_arguments(const TrainArguments& a) {
  if (a.padding_id && *a.padding_id < 0) {
    fail(ErrorCode::invalid_argument, "--pad-id: {} is out of range, expected 0 or more",
         *a.padding_id);
  }
  train::check_run_data(data_options(a, a.settings), {.training = "what to train on",
                                                      .texts = "--data",
                                                      .ids = "--ids",
                                                      .held_out = "what to measure on",
                                                      .held_out_texts = "--held-out",
                                                      .held_out_ids = "--held-out-ids",
                                                      .held_out_share = "--held-out-share",
                                                      .lead_in = "--lead-in",
                                                      .hint = "--data FILE... reads text files"});
}

train::RunLength run_length(const TrainArguments& a) {
  if (a.epochs && a.steps) {
    fail(ErrorCode::invalid_argument, "how long to train: give either --epochs or --steps");
  }
  if (a.steps && *a.steps < 1) {
    fail(ErrorCode::invalid_argument, "--steps: {} is out of range, expected 1 or more", *a.steps);
  }
  train::RunLength length;
  if (a.steps) length.steps = static_cast<std::uint64_t>(*a.steps);
  if (a.epochs) length.epochs = *a.epochs;
  return length;
}

void add_data_arguments(Command& command, TrainArguments& a) {
  command.add_path("--data", a.data, "text files to train on").value_name("FILE").many();
  command.add_path("--ids", a.ids, "safetensors file with I64 'ids' [windows, length] instead")
      .value_name("FILE");
  command.add_option("--pad-id", a.padding_id,
                     "the id that fills up rows of --ids and --held-out-ids, no text");
  command.add_path("--held-out", a.held_out, "text files to measure on, never trained on")
      .value_name("FILE")
      .many();
  command.add_path("--held-out-ids", a.held_out_ids, "safetensors file like that of --ids instead")
      .value_name("FILE");
  command.add_option("--held-out-share", a.held_out_share,
                     "set whole --data files aside, this share of the bytes");
  add_choice(command, "--documents", a.documents, train::parse_document_split,
             "file|blank-lines|end-of-text", "what ends a document");
  add_choice(command, "--lead-in", a.lead_in, train::parse_lead_in, "auto|bos|none",
             "ids before each document, no targets; auto: what the tokenizer puts before a text");
}

}  // namespace

void add_train_arguments(Command& command, TrainArguments& a) {
  train::TrainSettings& s = a.settings;
  command.add_path("MODEL", a.model, "checkpoint folder").required();
  command.add_option("--stack", a.stack, "whose layers, of an encoder-decoder [default: decoder]")
      .value_name("encoder|decoder");
  add_data_arguments(command, a);
  command.add_path("--out", a.out, "new folder").required().value_name("DIR");
  command.add_path("--run-dir", a.run_folder, "train states and metrics [default: OUT.run]")
      .value_name("DIR");
  command.add_flag("--resume", s.resume, "go on from the newest train state of --run-dir");
  command.add_option("--context", s.context, "tokens per window").show_default();
  add_choice(command, "--pack", s.packing, train::parse_packing, "ffd|concat",
             "how documents fill windows; ffd: first-fit decreasing");
  add_choice(command, "--draw", s.draw, train::parse_task_draw, "each_epoch|once",
             "of hidden tokens and dropped spans: others in each epoch, or the same in all");
  command.add_option("--batch", s.batch, "windows per pass").show_default();
  command.add_option("--accumulate", s.accumulate, "passes per step").show_default();
  command.add_option("--epochs", a.epochs, "passes over the data [default: 3]");
  command.add_option("--steps", a.steps, "steps instead of epochs");
  command.add_option("--lr", s.rate, "peak learning rate").show_default();
  command.add_option("--warmup-share", s.warmup_share, "of the steps").show_default();
  add_choice(command, "--schedule", s.schedule, train::parse_schedule, "cosine|linear|constant",
             "course of the learning rate");
  command.add_option("--weight-decay", s.adamw.weight_decay, "of AdamW").show_default();
  command.add_flag("--decay-all", s.decay_all, "decay 1-D tensors too, as torch does");
  command.add_option("--clip-norm", s.clip_norm, "gradient norm limit, 0: none").show_default();
  command
      .add_option("--ema", s.ema,
                  "decay of the weights' moving average, which is published, after its warm-up; "
                  "0: none")
      .show_default();
  command.add_option("--seed", s.seed, "decides the order of the data").show_default();
  add_choice(command, "--precision", s.precision, train::parse_precision, "bf16|fp32",
             "precision of the arithmetic");
  add_choice(command, "--device", s.machine.device, train::parse_device, "cpu|cuda|cuda:N",
             "where it computes");
  command.add_option("--threads", s.machine.threads, "0: all cores").show_default();
  command.add_flag("--checkpoint-activations", s.recompute_activations,
                   "keep layer inputs only and compute the rest again: less memory, more time");
  command
      .add_path("--cache", a.cache_folder,
                "keep outputs of the layers below there, for later runs [default: in memory]")
      .value_name("DIR");
  command.add_option("--cache-bytes", s.cache_bytes, "bound of the cache, in memory or in --cache")
      .show_default();
  command.add_option("--evaluate-every", s.evaluate_every, "steps, 0: before and after only")
      .show_default();
  command
      .add_option(
          "--patience", s.patience,
          "stop after evaluations without gain and publish the best weights, 0: publish the last")
      .show_default();
  command
      .add_option("--save-every", s.save_every,
                  "steps between train states, 0: when interrupted and at the end")
      .show_default();
}

train::TrainSettings wished_settings(const TrainArguments& a) {
  check_data_arguments(a);
  train::TrainSettings wishes = a.settings;
  train::check_wishes(wishes, run_length(a));
  wishes.place = train::process_place();
  train::prepare_device(train::own_device(wishes.machine.device, wishes.place));
  wishes.machine.own_process = true;
  wishes.cache_folder = a.cache_folder;
  wishes.run_folder = a.run_folder.empty() ? a.out + ".run" : a.run_folder;
  if (is_taken(a.out)) {
    throw Error(ErrorCode::already_exists, quote(a.out) + ": already exists",
                "choose another --out");
  }
  require_outside(a.out, a.model);
  if (!wishes.resume) train::require_no_train_state(wishes.run_folder);
  require_folder_above(a.out);
  const NewFolder possible(a.out);  // fails as making the result would, before hours of work
  return wishes;
}

train::RunData read_train_data(const Context& context, const TrainArguments& a,
                               const train::TrainSettings& wishes,
                               const format::Checkpoint& checkpoint) {
  format::require_no_own_adapter(checkpoint.folder());
  context.warn_of(checkpoint.warnings());
  train::RunData data = shown(context, [&](const Work& work) {
    return train::read_run_data(checkpoint, data_options(a, wishes), work);
  });
  context.warn_of(data.warnings);
  if (data.lacks_end_of_sequence()) {
    context.warn("the tokenizer names no end-of-sequence token: documents to train on have no end");
  }
  if (data.held_out_share) {
    const std::size_t held_out = data.held_out->stream().files().size();
    context.note(fmt::format("held out: {} of {}, {:.1f} % of the bytes", held_out,
                             counted(held_out + data.training.stream().files().size(), "text"),
                             100 * *data.held_out_share));
  }
  if (data.overlap) {
    const auto finding = train::overlap_finding(*data.overlap);
    if (finding.passed) {
      context.detail(train::describe(finding));
    } else {
      // Not as a self-test that failed: the next line is that the self-tests of the model passed.
      context.warn(
          fmt::format("held-out figures are partly memory: {:.1f} % of the held-out "
                      "13-grams of tokens also occur in the training data (limit {:g} %); {}",
                      100 * finding.measured, 100 * finding.limit, finding.hint));
    }
  }
  return data;
}

train::TrainSettings run_settings(const TrainArguments& a, const train::TrainSettings& wishes,
                                  const TrainedPart& part, const train::RunData& data) {
  train::TrainSettings asked = wishes;
  asked.layers = part.layers;
  asked.method = part.method;
  return train::complete_settings(asked, run_length(a), data.training);
}

void note_run(const Context& context, const train::TrainSettings& settings,
              const train::Dataset& training) {
  context.note(fmt::format(
      "{} in {} of {} ({:.1f} % filled), {} of {}", counted(training.tokens(), "token"),
      counted(training.windows(), "window"), settings.context, 100 * training.filled_share(),
      counted(settings.steps, "step"), counted(settings.rows_per_step(), "window")));
}

void remove_states(const Context& context, const std::filesystem::path& run_folder) {
  try {
    train::remove_train_states(run_folder);
  } catch (const Error& error) {
    context.warn(error.what());
  }
}

void print_evaluations(const Context& context, const std::vector<format::Evaluation>& evaluations) {
  for (const auto& e : evaluations) {
    const auto label = train::protocol_label(e.protocol, static_cast<std::int64_t>(e.context),
                                             static_cast<std::int64_t>(e.stride),
                                             e.tokenizer_digest, e.conditions);
    context.confirm(
        fmt::format("{:20} {} {} (nll {:.6f}, {}{})", e.subject, label,
                    perplexity_text(e.perplexity), e.nll, counted(e.tokens, "target"),
                    e.bits_per_byte ? fmt::format(", {:.4f} bits/byte", *e.bits_per_byte) : ""));
  }
}

nlohmann::json run_record(const train::TrainResult& result,
                          const std::vector<format::Evaluation>& evaluations) {
  nlohmann::json list = nlohmann::json::array();
  for (const auto& e : evaluations) {
    list.push_back(
        {{"subject", e.subject},
         {"protocol", e.protocol},
         {"context", e.context},
         {"stride", e.stride},
         {"tokens", e.tokens},
         {"nll", e.nll},
         {"ppl", e.perplexity},
         {"bits_per_byte", e.bits_per_byte ? nlohmann::json(*e.bits_per_byte) : nlohmann::json()}});
    format::add_conditions(list.back(), e);
  }
  return {{"steps", result.steps},
          {"skipped", result.skipped},
          {"stopped_early", result.stopped_early},
          {"last_loss", result.last_loss ? nlohmann::json(*result.last_loss) : nlohmann::json()},
          {"wall_milliseconds", result.milliseconds},
          {"published_weights", train::to_string(result.published)},
          {"published_step", result.published_step},
          {"prefix_cache",
           {{"computed", result.prefix.computed},
            {"read", result.prefix.read},
            {"damaged", result.prefix.damaged}}},
          {"evaluations", list}};
}

}  // namespace organ::cli
