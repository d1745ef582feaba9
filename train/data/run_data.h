// SPDX-License-Identifier: Apache-2.0
// What a model is trained and measured on, read by the rules of its task: what stands around a
// document, what is hidden or dropped by which draw, what is kept apart.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "format/base/digest.h"
#include "format/base/progress.h"
#include "format/checkpoint/checkpoint.h"
#include "train/data/dataset.h"
#include "train/data/source/data_source.h"
#include "train/tokenizer/lead_in.h"

#pragma GCC visibility push(default)

namespace organ::train {

// Texts, or rows of token ids instead (Dataset::from_ids); or neither. Of files or of memory, which
// is borrowed until the data are read. Texts are read in their order.
struct DataSource {
  std::vector<TextSource> texts;
  IdsSource ids;

  bool empty() const { return texts.empty() && ids.empty(); }
};

// What to train on and to measure with. Exactly one kind of training data; the held-out data are of
// one kind too, or absent.
struct RunDataOptions {
  DataSource training = {}, held_out = {};
  // Sets whole texts aside instead (train/data/source/hold_out.h), this share of their bytes.
  std::optional<double> held_out_share = {};
  // What fills up rows of ids; nullopt: nothing does. Where a config of the model or its tokenizer
  // names it as an end of text, the first one behind a row's text is kept.
  std::optional<std::int32_t> padding_id = {};
  DocumentSplit split = DocumentSplit::file;  // of all texts
  LeadIn lead_in = LeadIn::automatic;         // of all texts; ids are taken as they are
  Packing packing = Packing::ffd;             // of the texts to train on
  std::int64_t context = 512;                 // tokens a window of texts has; ids bring theirs
  std::uint64_t seed = 0;                     // of the files set aside and of the training draw
};

// How the host's users know what is read: the words of refusals. Borrowed for the call.
struct DataNames {
  std::string_view training = "training data", texts = "texts", ids = "rows of ids";
  std::string_view held_out = "held-out data", held_out_texts = "held-out texts",
                   held_out_ids = "held-out rows of ids", held_out_share = "held-out share";
  std::string_view measured = "data", lead_in = "lead-in", hint = "";
};

// Throws invalid_argument for options that contradict themselves, whatever is in the files, none of
// which is looked at: a program asks early. read_run_data asks the same.
void check_run_data(const RunDataOptions& options, const DataNames& names = {});

// What decided how they were read stands in the data sets, in hold_out_seed and in tokenizer:
// train_layers refuses settings that say otherwise. Owns all it holds: sources and checkpoint may
// go away.
struct RunData {
  // With the end-of-sequence id behind each document of a text, for the task next_token.
  Dataset training;
  // Windows, documents and draw as `organ eval` reads them, whatever the training data's are.
  std::optional<Dataset> held_out;
  // nullopt: rows of ids alone, and a task that needs no tokenizer for them.
  std::optional<Digest> tokenizer;  // format::tokenizer_digest(), where a tokenizer was needed
  std::optional<double> overlap;    // overlap_share() with the held-out data
  std::optional<std::uint64_t> hold_out_seed = {};  // that chose files to set aside, if it did
  std::optional<double> held_out_share = {};        // of the bytes, that these hold (HoldOut)
  // Sentences on what may not be meant as it was read, with names from files, not escaped.
  std::vector<std::string> warnings = {};

  // Whether documents to train on should end with the end-of-sequence id and do not, because the
  // tokenizer names none: what learns from them does not learn to stop.
  bool lacks_end_of_sequence() const;
};

// Checks the options first, then that each path is a file, then reads. Throws what Dataset throws;
// invalid_argument for options that cannot be, for a path at which no regular file is, when both
// hold one file or their windows have other lengths; incompatible for a tokenizer that lacks what
// the task needs; cancelled. `work` is told how far the texts are chosen, read (those to train on,
// then those held out; TokenStream::from_texts) and compared.
RunData read_run_data(const format::Checkpoint& checkpoint, const RunDataOptions& options,
                      const Work& work = {});

// What to measure a model on: texts or rows of ids, not both.
struct MeasuredDataOptions {
  DataSource source = {};
  std::optional<std::int32_t> padding_id = {};  // what fills up rows of ids
  DocumentSplit split = DocumentSplit::file;
  std::int64_t context = 512;  // tokens a window of texts has (Packing::concat); ids bring theirs
  LeadIn lead_in = LeadIn::automatic;  // of all texts; ids are taken as they are
  bool rolling = false;                // to be measured in rolling windows (P0w): rolling_lead_in()
  std::uint64_t seed = 0;              // of the draw of masks and spans
  std::vector<TextSource> training_texts = {};  // whose overlap with the source is counted
};

// Sequences of kOverlapGram tokens of the measured data, and how many were in the training texts.
struct OverlapCount {
  std::uint64_t grams = 0, found = 0;
  double share = 0;
  // Of training_texts, in their order.
  std::vector<DataFile> training_files;
};

// Owns all it holds, as RunData does.
struct MeasuredData {
  Dataset data;
  std::int32_t padding_id = 0;  // as given; else the tokenizer's, else its end of sequence, else 0
  std::optional<OverlapCount> overlap;     // with training_texts
  std::vector<std::string> warnings = {};  // as those of RunData
};

// As check_run_data.
void check_measured_data(const MeasuredDataOptions& options, const DataNames& names = {});

// Throws as read_run_data.
MeasuredData read_measured_data(const format::Checkpoint& checkpoint,
                                const MeasuredDataOptions& options, const Work& work = {});

}  // namespace organ::train

#pragma GCC visibility pop
