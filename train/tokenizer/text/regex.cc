// SPDX-License-Identifier: Apache-2.0
#include "train/tokenizer/text/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <new>
#include <utility>

#include "format/base/fail.h"
#include "format/base/handle.h"

namespace organ::train {
namespace {

// Backtracking steps and stack that no sane split of one piece of text needs.
constexpr std::uint32_t kMatchLimit = 50'000'000;
constexpr std::size_t kStackStart = 32 << 10;
constexpr std::size_t kStackMax = 64 << 20;

using CompileContext = std::unique_ptr<pcre2_compile_context, Deleter<&pcre2_compile_context_free>>;
using MatchContext = std::unique_ptr<pcre2_match_context, Deleter<&pcre2_match_context_free>>;
using MatchData = std::unique_ptr<pcre2_match_data, Deleter<&pcre2_match_data_free>>;
using JitStack = std::unique_ptr<pcre2_jit_stack, Deleter<&pcre2_jit_stack_free>>;

template <typename T>
T* allocated(T* pointer) {
  if (pointer == nullptr) throw std::bad_alloc();
  return pointer;
}

std::string pcre2_message(int code) {
  PCRE2_UCHAR text[256] = {};
  pcre2_get_error_message(code, text, sizeof text);
  return reinterpret_cast<const char*>(text);
}

// For whichever pattern a thread matches: one for each search would be mapped and given back again
// for each text. Null where there is no memory for it.
pcre2_jit_stack* stack_of_thread(void* /*data*/) {
  thread_local JitStack stack;
  if (!stack) stack.reset(pcre2_jit_stack_create(kStackStart, kStackMax, nullptr));
  return stack.get();
}

PCRE2_SPTR units(std::string_view text) { return reinterpret_cast<PCRE2_SPTR>(text.data()); }

}  // namespace

struct Pattern::Code {
  std::unique_ptr<pcre2_code, Deleter<&pcre2_code_free>> compiled;
};

Pattern::Pattern() = default;
Pattern::Pattern(Pattern&&) noexcept = default;
Pattern::~Pattern() = default;

Pattern Pattern::literal(std::string text) {
  check(!text.empty(), "an empty pattern");
  Pattern pattern;
  pattern.literal_ = std::move(text);
  return pattern;
}

Pattern Pattern::compile(std::string_view pcre2, std::uint32_t options, std::string_view shown,
                         std::string_view subject) {
  const CompileContext context(allocated(pcre2_compile_context_create(nullptr)));
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  int error = 0;
  std::size_t offset = 0;
  Pattern pattern;
  pattern.code_ = std::make_unique<Code>();
  pattern.code_->compiled.reset(pcre2_compile(units(pcre2), pcre2.size(),
                                              options | PCRE2_UTF | PCRE2_NEVER_BACKSLASH_C, &error,
                                              &offset, context.get()));
  const pcre2_code* code = pattern.code_->compiled.get();
  if (code == nullptr) {
    if (error == PCRE2_ERROR_HEAP_FAILED) throw std::bad_alloc();
    fail(ErrorCode::incompatible, "{}: regex {} is not supported: {}", subject, quote(shown),
         pcre2_message(error));
  }
  // Without JIT (error ignored: some processors have none) the interpreter gives the same answer.
  pcre2_jit_compile(pattern.code_->compiled.get(), PCRE2_JIT_COMPLETE);
  return pattern;
}

Pattern Pattern::regex(std::string_view oniguruma, std::string_view subject) {
  Pattern pattern =
      compile(pcre2_from_oniguruma(oniguruma, subject), PCRE2_UCP, oniguruma, subject);
  std::uint32_t matches_empty = 0;
  pcre2_pattern_info(pattern.code_->compiled.get(), PCRE2_INFO_MATCHEMPTY, &matches_empty);
  if (matches_empty != 0) {
    fail(ErrorCode::incompatible, "{}: regex {} can match the empty string, not supported", subject,
         quote(oniguruma));
  }
  return pattern;
}

Pattern Pattern::python(std::string_view regex, std::string_view before, std::string_view after,
                        PythonPlace place, std::string_view subject) {
  const std::string whole =
      fmt::format("{}{}{}", before, pcre2_from_python(regex, place, subject), after);
  return compile(whole, 0, regex, subject);
}

struct Search::State {
  MatchContext context;
  MatchData data;
};

Search::Search(const Pattern& pattern) : pattern_(&pattern) {
  if (!pattern.code_) return;
  state_ = std::make_unique<State>();
  state_->context.reset(allocated(pcre2_match_context_create(nullptr)));
  pcre2_set_match_limit(state_->context.get(), kMatchLimit);
  std::size_t jit_size = 0;  // 0: a PCRE2, or a processor, without
  pcre2_pattern_info(pattern.code_->compiled.get(), PCRE2_INFO_JITSIZE, &jit_size);
  if (jit_size > 0) allocated(stack_of_thread(nullptr));
  pcre2_jit_stack_assign(state_->context.get(), &stack_of_thread, nullptr);
  state_->data.reset(
      allocated(pcre2_match_data_create_from_pattern(pattern.code_->compiled.get(), nullptr)));
}

Search::~Search() = default;

std::optional<Match> Search::find(std::string_view text, std::size_t from) {
  if (!pattern_->code_) {
    const std::size_t at = text.find(pattern_->literal_, from);
    if (at == std::string_view::npos) return std::nullopt;
    return Match{at, at + pattern_->literal_.size()};
  }
  // The text was checked once for UTF-8 before the first split.
  const int found = pcre2_match(pattern_->code_->compiled.get(), units(text), text.size(), from,
                                PCRE2_NO_UTF_CHECK, state_->data.get(), state_->context.get());
  if (found == PCRE2_ERROR_NOMATCH) return std::nullopt;
  if (found == PCRE2_ERROR_NOMEMORY) throw std::bad_alloc();
  if (found < 0) {
    fail(ErrorCode::invalid_argument, "text: the regex gives up at byte {} of a piece of {}: {}",
         from, counted(text.size(), "byte"), pcre2_message(found));
  }
  const PCRE2_SIZE* ends = pcre2_get_ovector_pointer(state_->data.get());
  return Match{ends[0], ends[1]};
}

}  // namespace organ::train
