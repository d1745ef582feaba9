// SPDX-License-Identifier: Apache-2.0
#include "train/data/run_data.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "format/base/fail.h"
#include "format/checkpoint/checkpoint_config.h"
#include "train/data/overlap.h"
#include "train/data/source/hold_out.h"
#include "train/data/source/read_source.h"
#include "train/data/task_draw.h"
#include "train/tokenizer/tokenizer.h"

namespace organ::train {
namespace {

void require_files(const DataSource& source) {
  for (const TextSource& text : source.texts) require_data_file(text);
  require_data_file(source.ids);
}

void require_one(const DataSource& source, std::string_view name, std::string_view texts,
                 std::string_view ids, std::string_view hint) {
  if (source.texts.empty() != source.ids.empty()) return;
  throw Error(ErrorCode::invalid_argument,
              fmt::format("{}: got {}, give either {} or {}", name,
                          source.empty() ? "neither" : "both", texts, ids),
              std::string(hint));
}

void require_texts_to_lead_in(LeadIn lead_in, bool texts, const DataNames& names) {
  if (lead_in != LeadIn::bos || texts) return;
  fail(ErrorCode::invalid_argument, "{} bos: {} are taken as they are", names.lead_in, names.ids);
}

// Whether a config of the model names `id` as an end of its texts.
bool config_ends_with(const format::Checkpoint& checkpoint, std::int32_t id) {
  const format::GenerationConfig configs[] = {format::GenerationConfig::of(checkpoint),
                                              format::GenerationConfig::of_config(checkpoint)};
  return std::ranges::any_of(configs, [&](const format::GenerationConfig& config) {
    const auto ids = config.stop_ids();
    return std::ranges::find(ids, id) != ids.end();
  });
}

// Rows of ids need no tokenizer: one that is missing, or that organ does not know, knows no end.
bool tokenizer_ends_with(const format::Checkpoint& checkpoint, std::int32_t id,
                         std::vector<std::string>& warnings) {
  try {
    return Tokenizer::open(checkpoint.folder()).eos() == id;
  } catch (const Error& error) {
    if (error.code() == ErrorCode::not_found) return false;
    if (error.code() != ErrorCode::incompatible) throw;
    warnings.push_back(fmt::format(
        "whether --pad-id {} ends a text too is known of the configs alone: {}", id, error.what()));
    return false;
  }
}

// Rotated positions go on past those that a model was trained for; it just did not learn them.
void warn_of_positions(const format::Checkpoint& checkpoint, const Dataset& data,
                       std::vector<std::string>& warnings) {
  const auto& architecture = checkpoint.architecture();
  if (architecture.spec().position != "rope") return;
  const auto starts = data.stream().document_starts();
  std::int64_t longest = 0;
  for (std::size_t i = 0; i < starts.size(); ++i) {
    const std::int64_t end = i + 1 < starts.size() ? starts[i + 1] : data.tokens();
    longest = std::max(longest, std::min(end - starts[i], data.context()));
  }
  if (static_cast<std::uint64_t>(longest) <= architecture.max_positions()) return;
  warnings.push_back(
      fmt::format("windows hold documents of up to {} tokens, the model was made for {} positions",
                  longest, architecture.max_positions()));
}

// Reads data sets for one model.
class Reader {
 public:
  Reader(const format::Checkpoint& checkpoint, std::optional<std::int32_t> padding_id,
         LeadIn lead_in, bool rolling)
      : checkpoint_(checkpoint),
        task_(task_of(checkpoint.architecture())),
        vocabulary_(checkpoint.architecture().vocab_size()),
        padding_id_(padding_id),
        lead_in_(lead_in),
        rolling_(rolling) {}

  // Call before read() of texts. A task that draws needs tokens of the tokenizer whatever is read.
  void open_tokenizer(bool texts) {
    if (texts || task_ != Task::next_token) tokenizer_ = Tokenizer::open(checkpoint_.folder());
  }
  const Tokenizer* tokenizer() const { return tokenizer_ ? &*tokenizer_ : nullptr; }

  Dataset read(const DataSource& source, Dataset::Options options, const Work& work) {
    if (source.texts.empty()) return Dataset::from_ids(source.ids, vocabulary_, row_padding());
    // A masked model reads a text with what its tokenizer puts around it.
    options.texts.special_tokens = task_ == Task::hidden_tokens;
    options.texts.lead_in = lead_in();
    if (task_ != Task::next_token) options.texts.end_of_sequence = false;
    return Dataset::from_texts(source.texts, *tokenizer_, vocabulary_, options, work);
  }

  // Of the texts of a task that says itself what stands around them, nothing more.
  std::vector<std::int32_t> lead_in() const {
    if (task_ == Task::next_token) {
      return rolling_ ? rolling_lead_in(lead_in_, *tokenizer_) : lead_in_ids(lead_in_, *tokenizer_);
    }
    if (lead_in_ == LeadIn::automatic || (lead_in_ == LeadIn::none && task_ == Task::spans)) {
      return {};
    }
    fail(ErrorCode::invalid_argument, "--lead-in {}: {}", to_string(lead_in_),
         task_ == Task::spans
             ? "spans are dropped from windows of joined texts, nothing leads in"
             : "a masked model reads a text with what its tokenizer puts around it");
  }

  void draw(Dataset& data, std::uint64_t seed) const {
    set_task(data, checkpoint_, tokenizer(), seed);
  }

  // What is to be said of `data`; what was said is not said again.
  void warn_of(const Dataset& data) {
    std::vector<std::string> found = data.stream().warnings();
    warn_of_positions(checkpoint_, data, found);
    for (std::string& warning : found) {
      if (std::ranges::find(warnings_, warning) == warnings_.end()) {
        warnings_.push_back(std::move(warning));
      }
    }
  }
  const std::vector<std::string>& warnings() const { return warnings_; }

 private:
  std::optional<RowPadding> row_padding() {
    if (padding_id_ && !padding_) {
      const std::int32_t id = *padding_id_;
      padding_.emplace(id, config_ends_with(checkpoint_, id) ||
                               (tokenizer_ ? tokenizer_->eos() == id
                                           : tokenizer_ends_with(checkpoint_, id, warnings_)));
    }
    return padding_;
  }

  const format::Checkpoint& checkpoint_;
  Task task_;
  std::uint64_t vocabulary_;
  std::optional<std::int32_t> padding_id_;
  std::optional<RowPadding> padding_;  // once rows were read
  LeadIn lead_in_;
  bool rolling_;
  std::optional<Tokenizer> tokenizer_;
  std::vector<std::string> warnings_;
};

// What is read of a run's options once whole texts are set aside.
struct Sources {
  DataSource training, held_out;
  std::optional<double> held_out_share = {};  // of the bytes, that was set aside
};

Sources sources_of(const RunDataOptions& options, const Work& work) {
  if (!options.held_out_share) return {options.training, options.held_out};
  HoldOut texts =
      hold_out_texts(options.training.texts, *options.held_out_share, options.seed, work);
  return {{std::move(texts.training), {}}, {std::move(texts.held_out), {}}, texts.share};
}

// Of whole texts some shares cannot be had.
void warn_of_share(double asked, double held_out, std::vector<std::string>& warnings) {
  constexpr double kFar = 1.5;  // times
  if (held_out <= kFar * asked && asked <= kFar * held_out) return;
  warnings.push_back(
      fmt::format("--held-out-share {}: whole texts are held out, and {:.1f} % of the bytes are "
                  "in those that were chosen",
                  asked, 100 * held_out));
}

Dataset read_training(Reader& reader, const DataSource& source, const RunDataOptions& options,
                      const Work& work) {
  const Work reading = work.phase("reading training data", bytes_ahead(source.texts));
  return reader.read(source,
                     {.context = options.context,
                      .texts = {.split = options.split, .end_of_sequence = true},
                      .packing = options.packing},
                     reading);
}

Dataset read_held_out(Reader& reader, const DataSource& source, DocumentSplit split,
                      std::int64_t context, const Work& work) {
  const Work reading = work.phase("reading held-out data", bytes_ahead(source.texts));
  Dataset data = reader.read(source, {.context = context, .texts = {.split = split}}, reading);
  if (data.context() == context) return data;
  fail(ErrorCode::invalid_argument, "{}: windows of {}, but those to train on have {}",
       quote(source.ids.path().string()), counted(data.context(), "token"), context);
}

OverlapCount count_overlap(Reader& reader, const Dataset& data,
                           const std::vector<TextSource>& training_texts,
                           const Dataset::Options& options, const Work& work) {
  const Work reading = work.phase("reading training texts", bytes_ahead(training_texts));
  OverlapCounter counter(data.stream());
  OverlapCount count;
  for (const TextSource& text : training_texts) {
    const Dataset training = reader.read({{text}, {}}, options, reading);
    counter.add(training.stream());
    count.training_files.push_back(training.stream().files().front());
  }
  count.grams = counter.grams();
  count.found = counter.found();
  count.share = counter.share();
  return count;
}

}  // namespace

void check_run_data(const RunDataOptions& options, const DataNames& names) {
  const DataSource& held_out = options.held_out;
  require_one(options.training, names.training, names.texts, names.ids, names.hint);
  if (!held_out.empty()) {
    require_one(held_out, names.held_out, names.held_out_texts, names.held_out_ids, "");
  }
  require_texts_to_lead_in(options.lead_in,
                           !options.training.texts.empty() || !held_out.texts.empty(), names);
  if (!options.held_out_share) return;
  const std::string_view other = !options.training.ids.empty() ? names.ids
                                 : !held_out.texts.empty()     ? names.held_out_texts
                                 : !held_out.ids.empty()       ? names.held_out_ids
                                                               : "";
  if (!other.empty()) {
    fail(ErrorCode::invalid_argument, "{}: chooses among {}; it cannot be joined with {}",
         names.held_out_share, names.texts, other);
  }
  check_held_out_share(*options.held_out_share, names.held_out_share);
}

void check_measured_data(const MeasuredDataOptions& options, const DataNames& names) {
  require_one(options.source, names.measured, names.texts, names.ids, names.hint);
  require_texts_to_lead_in(options.lead_in, !options.source.texts.empty(), names);
}

bool RunData::lacks_end_of_sequence() const {
  const TokenStream& stream = training.stream();
  return training.task() == Task::next_token && stream.row_starts().empty() &&
         !stream.end_of_sequence();
}

RunData read_run_data(const format::Checkpoint& checkpoint, const RunDataOptions& options,
                      const Work& work) {
  check_run_data(options);
  require_files(options.training);
  require_files(options.held_out);
  const Sources sources = sources_of(options, work);
  Reader reader(checkpoint, options.padding_id, options.lead_in, false);
  reader.open_tokenizer(!sources.training.texts.empty() || !sources.held_out.texts.empty());
  RunData data{read_training(reader, sources.training, options, work), std::nullopt, std::nullopt,
               std::nullopt};
  if (!sources.held_out.empty()) {
    data.held_out =
        read_held_out(reader, sources.held_out, options.split, data.training.context(), work);
    check_disjoint(data.training.stream(), data.held_out->stream());
    data.overlap = overlap_share(data.training.stream(), data.held_out->stream(), work);
  }
  reader.draw(data.training, options.seed);
  // The draw of `organ eval`, whatever the seed of the run.
  if (data.held_out) reader.draw(*data.held_out, 0);
  if (reader.tokenizer()) data.tokenizer = checkpoint.own_tokenizer_digest();
  if (options.held_out_share) data.hold_out_seed = options.seed;
  data.held_out_share = sources.held_out_share;
  reader.warn_of(data.training);
  if (data.held_out) reader.warn_of(*data.held_out);
  data.warnings = reader.warnings();
  if (data.held_out_share) {
    warn_of_share(*options.held_out_share, *data.held_out_share, data.warnings);
  }
  work.require_wanted();
  return data;
}

MeasuredData read_measured_data(const format::Checkpoint& checkpoint,
                                const MeasuredDataOptions& options, const Work& work) {
  check_measured_data(options);
  require_files(options.source);
  require_files({options.training_texts, {}});
  Reader reader(checkpoint, options.padding_id, options.lead_in, options.rolling);
  reader.open_tokenizer(!options.source.texts.empty() || !options.training_texts.empty());
  const Dataset::Options reading{.context = options.context, .texts = {.split = options.split}};
  MeasuredData measured{reader.read(options.source, reading, work), 0, std::nullopt};
  reader.draw(measured.data, options.seed);
  if (const Tokenizer* tokenizer = reader.tokenizer()) {
    measured.padding_id = tokenizer->pad().value_or(tokenizer->eos().value_or(0));
  }
  if (options.padding_id) measured.padding_id = *options.padding_id;
  if (!options.training_texts.empty()) {
    measured.overlap = count_overlap(reader, measured.data, options.training_texts, reading, work);
  }
  reader.warn_of(measured.data);
  measured.warnings = reader.warnings();
  work.require_wanted();
  return measured;
}

}  // namespace organ::train
