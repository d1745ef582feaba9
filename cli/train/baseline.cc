// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <functional>
#include <numeric>
#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "cli/frame/parse_option.h"
#include "cli/train/arguments.h"
#include "cli/train/commands.h"
#include "cli/train/left_out.h"
#include "cli/train/watched_run.h"
#include "format/base/fail.h"
#include "train/adapter/prompt_start.h"
#include "train/baselines/baselines.h"
#include "train/baselines/report.h"
#include "train/tokenizer/tokenizer.h"
#include "train/trainer/recovered_checkpoint.h"
#include "transplant/journal.h"

namespace organ::cli {
namespace {

// What trains; an adapter's kind stands in AdapterOptions.
enum class Method : std::uint8_t { adapter, full, same_layers, top_layers, top_elements };

struct BaselineArguments {
  std::string name, layers;  // name: of the method, as it is recorded
  Method method = Method::adapter;
  std::optional<train::VirtualStart> start;
  std::uint64_t count = 3;
  double share = 0.1;
  TrainArguments common;
  train::AdapterOptions adapter;
};

// Those that change the model's own weights; any other name is an adapter's.
Method parse_method(std::string_view name) {
  if (name == "full") return Method::full;
  if (name == "same_layers") return Method::same_layers;
  if (name == "top_k_layers") return Method::top_layers;
  if (name == "top_k") return Method::top_elements;
  return Method::adapter;
}

format::LayerRange adapted_layers(const BaselineArguments& arguments, std::uint64_t layer_count) {
  if (!arguments.layers.empty()) return format::LayerRange::parse(arguments.layers, layer_count);
  if (arguments.method == Method::same_layers) {
    throw Error(ErrorCode::invalid_argument, "which layers: same_layers needs --layers",
                "--layers 4:7 trains layers 4, 5 and 6, counted from 0");
  }
  return {0, layer_count};
}

std::optional<train::BottleneckPlacement> parse_placement(std::string_view name) {
  if (name == "houlsby") return train::BottleneckPlacement::houlsby;
  if (name == "pfeiffer") return train::BottleneckPlacement::pfeiffer;
  return std::nullopt;
}

// What virtual tokens start as. A text to start from says so by itself.
void read_start(BaselineArguments& arguments) {
  train::AdapterOptions& adapter = arguments.adapter;
  if (!adapter.start_text.empty() && !arguments.start) arguments.start = train::VirtualStart::text;
  if (arguments.start) adapter.start = *arguments.start;
  const bool text = adapter.start == train::VirtualStart::text;
  if (text == !adapter.start_text.empty()) return;
  throw Error(ErrorCode::invalid_argument,
              text ? "--init text: there is no text" : "--init-text: is for --init text alone",
              "--init-text 'Answer as a lawyer:' starts a prompt from that text's tokens");
}

void read_name(BaselineArguments& arguments, const std::string& name) {
  arguments.name = name;
  arguments.method = parse_method(name);
  if (arguments.method != Method::adapter) return;
  const auto kind = train::parse_adapter_kind(name);
  if (!kind) {
    fail(ErrorCode::invalid_argument,
         "METHOD: {} is unknown, expected full, lora, ia3, bottleneck, prompt, prefix, "
         "same_layers, top_k_layers or top_k",
         quote(name));
  }
  arguments.adapter.kind = *kind;
}

// Why a method takes no --layers; empty: it does.
std::string_view own_layers(Method method) {
  switch (method) {
    case Method::top_layers: return "top_k_layers chooses them, --count says how many";
    case Method::top_elements: return "top_k chooses among the weights of all layers";
    case Method::full: return "full trains all of them and what is around them";
    case Method::adapter:
    case Method::same_layers: break;
  }
  return "";
}

void check_method(BaselineArguments& arguments) {
  const std::string_view own = own_layers(arguments.method);
  if (!own.empty() && !arguments.layers.empty()) {
    fail(ErrorCode::invalid_argument, "--layers: {}", own);
  }
  if (arguments.method == Method::adapter) read_start(arguments);
}

// Everything a method needs, and what is printed of it.
class Baseline {
 public:
  Baseline(const Context& context, const BaselineArguments& arguments,
           const train::TrainSettings& wishes)
      : context_(context),
        arguments_(arguments),
        common_(arguments.common),
        wishes_(wishes),
        checkpoint_(format::Checkpoint::open(common_.model, common_.stack)),
        layers_(adapted_layers(arguments, checkpoint_.architecture().layer_count())) {}

  // Nothing in the processes of a run that write no files.
  std::optional<train::BaselineReport> run() {
    if (arguments_.method == Method::adapter) return train_adapter();
    train::check_recoverable(checkpoint_);
    note_left_out(context_, checkpoint_);
    const train::RunData data = read_train_data(context_, common_, wishes_, checkpoint_);
    if (arguments_.method == Method::full) return train_whole_model(data);
    if (arguments_.method == Method::top_elements) return train_elements(data);
    return train_layers(data);
  }

 private:
  using Train = std::function<train::TrainResult(const train::TrainInputs&)>;
  using Write = std::function<void(const train::BaselineReport&, const train::TrainedRun&)>;

  // Trains, reports and writes the report's folder. `config` is what the report says of the method.
  std::optional<train::BaselineReport> train(const train::RunData& data, const TrainedPart& part,
                                             const std::string& config, const Train& way,
                                             const Write& write) {
    const train::TrainSettings settings = run_settings(common_, wishes_, part, data);
    note_run(context_, settings, data.training);
    const WatchedRun watch = watch_run(context_);
    const train::TrainInputs inputs{checkpoint_,     settings, data,
                                    *watch.observer, nullptr,  watch.work};
    const train::TrainResult result = way(inputs);
    if (!result.writes_files) return std::nullopt;
    run_folder_ = result.run_folder;
    const train::TrainedRun run{inputs, result};
    auto report = train::make_baseline_report(arguments_.name, config, run);
    write(report, run);
    return report;
  }

  std::optional<train::BaselineReport> train_weights(const train::RunData& data,
                                                     const TrainedPart& part,
                                                     const nlohmann::json& config,
                                                     const Train& way) {
    return train(data, part, config.dump(), way,
                 [&](const train::BaselineReport& report, const train::TrainedRun& run) {
                   watched_result(context_, wishes_, [&](const Work& work) {
                     train::write_checkpoint_baseline(report, run, common_.out, work);
                   });
                 });
  }

  std::optional<train::BaselineReport> train_whole_model(const train::RunData& data) {
    const nlohmann::json config = {{"tied_head", checkpoint_.tied_head()}};
    return train_weights(data, {layers_, config.dump()}, config, train::train_whole_model);
  }

  std::optional<train::BaselineReport> train_elements(const train::RunData& data) {
    const nlohmann::json config = {{"share", arguments_.share}};
    return train_weights(data, {layers_, config.dump()}, config,
                         [&](const train::TrainInputs& inputs) {
                           return train::train_top_elements(inputs, arguments_.share);
                         });
  }

  // The layers that train, and how they were chosen.
  std::vector<std::uint64_t> choose_layers(const train::RunData& data,
                                           nlohmann::json& config) const {
    if (arguments_.method == Method::top_layers) {
      const train::TrainSettings settings = run_settings(common_, wishes_, {layers_}, data);
      const auto magnitudes = train::gradient_magnitudes(checkpoint_, settings, data.training);
      config["gradient_magnitudes"] = magnitudes;
      return train::top_layers(magnitudes, arguments_.count);
    }
    std::vector<std::uint64_t> layers(layers_.count);
    std::iota(layers.begin(), layers.end(), layers_.first);
    return layers;
  }

  std::optional<train::BaselineReport> train_layers(const train::RunData& data) {
    nlohmann::json config = nlohmann::json::object();
    const auto layers = choose_layers(data, config);
    config["layers"] = layers;
    const format::LayerRange span = {layers.front(), layers.back() - layers.front() + 1};
    const TrainedPart part = {span, nlohmann::json(layers).dump()};
    return train_weights(data, part, config, [&](const train::TrainInputs& inputs) {
      return train::train_chosen_layers(inputs, layers);
    });
  }

  // The values that training starts from.
  void start(train::Adapter& adapter) const {
    const train::AdapterOptions& options = arguments_.adapter;
    if (options.kind != train::AdapterKind::prompt ||
        options.start == train::VirtualStart::random) {
      return train::initialise(adapter, wishes_.seed);
    }
    if (options.start != train::VirtualStart::text) {
      return train::start_from_vocabulary(adapter, checkpoint_, wishes_.seed);
    }
    const auto tokenizer = train::Tokenizer::open(checkpoint_.folder());
    train::start_from_ids(adapter, checkpoint_, tokenizer.encode(options.start_text, false));
  }

  std::optional<train::BaselineReport> train_adapter() {
    const auto& architecture = checkpoint_.architecture();
    train::AdapterOptions options = arguments_.adapter;
    options.layers = layers_;
    options.base_model = common_.model;
    train::Adapter adapter =
        train::plan_adapter(train::make_peft_config(options, architecture), architecture);
    start(adapter);
    const train::RunData data = read_train_data(context_, common_, wishes_, checkpoint_);
    return train(
        data, {layers_, adapter.config.text}, adapter.config.text,
        [&](const train::TrainInputs& inputs) { return train::train_adapter(inputs, adapter); },
        [&](const train::BaselineReport& report, const train::TrainedRun& /*run*/) {
          watched_result(context_, wishes_, [&](const Work& work) {
            train::write_adapter_baseline(report, adapter, checkpoint_, common_.out, work);
          });
        });
  }

  const Context& context_;
  const BaselineArguments& arguments_;
  const TrainArguments& common_;
  const train::TrainSettings& wishes_;
  format::Checkpoint checkpoint_;
  format::LayerRange layers_;               // that may train; a method can choose among them
  std::shared_ptr<const void> run_folder_;  // TrainResult's: locked until all is done
};

void print_report(const Context& context, const train::BaselineReport& r, const std::string& out) {
  const auto row = [&](std::string_view name, const std::string& value) {
    context.confirm(fmt::format("{:22} {}", name, value));
  };
  row("method", r.method);
  row("folder", escape_text(out));
  row("trainable parameters",
      fmt::format("{} ({:.4f} % of {})", r.trainable,
                  100 * static_cast<double>(r.trainable) / static_cast<double>(r.model_parameters),
                  r.model_parameters));
  row("steps", fmt::format("{} ({} skipped), {}", r.steps, r.skipped, counted(r.tokens, "token")));
  row("work", fmt::format("{:.1f} MFLOP per token", r.flops_per_token / 1e6));
  row("wall time", fmt::format("{:.1f} s", static_cast<double>(r.milliseconds) / 1000));
  row("peak memory", r.peak_memory
                         ? fmt::format("{:.2f} GB", static_cast<double>(*r.peak_memory) / 1e9)
                         : "not told by this system");
  print_evaluations(context, r.evaluations);
}

void run_baseline(Context& context, BaselineArguments& arguments) {
  const TrainArguments& common = arguments.common;
  check_method(arguments);
  const train::TrainSettings wishes = wished_settings(common);
  transplant::require_settled(common.model);
  Baseline baseline(context, arguments, wishes);
  const auto report = baseline.run();
  if (!report) return;
  context.set_done("the result is written to " + quote(common.out));
  remove_states(context, wishes.run_folder);
  if (!context.json) return print_report(context, *report, common.out);
  nlohmann::json record = train::to_json(*report);
  record["folder"] = common.out;
  context.print_json("baseline", std::move(record));
}

}  // namespace

void add_baseline(Command& app, Context& context) {
  const auto arguments =
      std::make_shared<BaselineArguments>();  // lives as long as the parser's callback
  Command command =
      app.add_train_command(context, "baseline",
                            "  organ baseline lora SmolLM2-135M --data law/*.txt \\\n"
                            "      --held-out test/*.txt --out law-lora\n"
                            "  organ baseline same_layers SmolLM2-135M --layers 10:13 \\\n"
                            "      --data law/*.txt --out law-base");
  const auto read = [arguments](const std::string& name) { read_name(*arguments, name); };
  command.add_parsed_option("METHOD", read, "what trains")
      .value_name("full|lora|ia3|bottleneck|prompt|prefix|same_layers|top_k_layers|top_k")
      .required();
  train::AdapterOptions& adapter = arguments->adapter;
  command.add_option("--layers", arguments->layers, "layers A to B-1 [adapters: all]")
      .value_name("A:B");
  command.add_option("--count", arguments->count, "of top_k_layers: how many layers")
      .show_default();
  command.add_option("--share", arguments->share, "of top_k: how much of all layers' weights")
      .show_default();
  command
      .add_option("--targets", adapter.targets,
                  "projections to adapt, or all-linear [default: PEFT's for the family]")
      .many();
  command
      .add_option("--target-parameters", adapter.parameters,
                  "of LoRA: experts' tensors, such as mlp.experts.down_proj")
      .many();
  command.add_option("--rank", adapter.rank, "of LoRA").show_default();
  command.add_option("--alpha", adapter.alpha, "of LoRA: the scale is alpha / rank").show_default();
  command.add_flag("--rslora", adapter.rank_stabilised, "alpha / sqrt(rank) instead");
  command.add_option("--bottleneck", adapter.bottleneck_size, "width of bottleneck adapters")
      .show_default();
  add_option_of_names(command, "--placement", "houlsby|pfeiffer", "houlsby",
                      "of bottleneck adapters: houlsby (attention and MLP) or pfeiffer (MLP)",
                      [&adapter](const std::string& text, const std::string& expected) {
                        adapter.placement =
                            parsed(parse_placement(text), "--placement", text, expected);
                      });
  command
      .add_option("--virtual-tokens", adapter.virtual_tokens,
                  "of prompt and prefix: positions before each document")
      .show_default();
  add_option_of_names(
      command, "--init", "vocabulary|random|text|zero", "",
      "of prompt: vocabulary, random or text [default: vocabulary]; of prefix: "
      "random or zero [default: random]",
      [start = &arguments->start](const std::string& text, const std::string& expected) {
        *start = parsed(train::parse_virtual_start(text), "--init", text, expected);
      });
  command.add_option("--init-text", adapter.start_text,
                     "of prompt: a text whose tokens it starts as");
  add_train_arguments(command, arguments->common);
  command.on_run([&context, arguments] { run_baseline(context, *arguments); });
}

}  // namespace organ::cli
