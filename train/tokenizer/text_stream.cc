// SPDX-License-Identifier: Apache-2.0
#include "train/tokenizer/text_stream.h"

#include <algorithm>
#include <span>
#include <utility>

namespace organ::train {
namespace {

// Ids before the new ones that decoders look at (a space that only the first token loses).
constexpr std::size_t kLookBack = 6;
// Where these begin within a character, a decoder makes nothing of the whole run of its kind: so
// many more are looked at until none does.
constexpr std::size_t kMostLookBack = 256;
constexpr std::string_view kUnfinished = "\uFFFD";  // what part of a character decodes to

}  // namespace

TextStream::TextStream(Tokenizer tokenizer, std::vector<std::int32_t> prompt, bool skip_special)
    : tokenizer_(std::move(tokenizer)),
      skip_special_(skip_special),
      ids_(std::move(prompt)),
      begin_(ids_.size() - std::min(ids_.size(), kLookBack)),
      done_(ids_.size()) {
  const std::size_t least = done_ - std::min(done_, kMostLookBack);
  while (begin_ > least && text_of(begin_, done_).find(kUnfinished) != std::string::npos) --begin_;
}

std::string TextStream::push(std::int32_t id) {
  ids_.push_back(id);
  return take(false);
}

std::string TextStream::finish() { return take(true); }

std::string TextStream::text_of(std::size_t begin, std::size_t end) const {
  return tokenizer_.decode(std::span(ids_).subspan(begin, end - begin), skip_special_);
}

std::string TextStream::take(bool all) {
  const std::string now = text_of(begin_, ids_.size());
  std::string before = text_of(begin_, done_);
  while (before.ends_with(kUnfinished) && !now.starts_with(before)) {  // the prompt's last part
    before.resize(before.size() - kUnfinished.size());
  }
  if (now.size() <= before.size() || (!all && now.ends_with(kUnfinished))) return {};
  begin_ = std::exchange(done_, ids_.size());
  // What was given out stays, also where a decoder makes nothing of its characters by now.
  return now.starts_with(before) ? now.substr(before.size()) : text_of(begin_, done_);
}

}  // namespace organ::train
