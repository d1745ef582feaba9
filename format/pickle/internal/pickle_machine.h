// SPDX-License-Identifier: Apache-2.0
// The pickle opcodes that files of weights are made of (protocols 2 to 5), and no others. Nothing
// is ever called: of the globals that a pickle names a closed list is known, and each builds a
// description (torch_calls.cc). Opcodes and their meaning: Python's pickletools.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <fmt/core.h>

#include "format/base/fail.h"
#include "format/pickle/internal/pickle_values.h"

namespace organ::format::internal {

// One machine may run several pickles of its bytes one after another, each with a memo and limits
// of its own; after an Error it is of no further use. Not thread-safe.
class PickleMachine {
 public:
  // `subject` names the bytes in errors. Borrows `bytes`, and so does what is returned.
  PickleMachine(std::string_view bytes, std::string subject, const PickleLimits& limits = {})
      : bytes_(bytes), subject_(std::move(subject)), limits_(limits) {}

  // Runs the pickle that starts at byte `start`. Throws corrupt naming the byte, the opcode or the
  // global; incompatible for a tensor that organ has no type or layout for. Bytes behind the pickle
  // are not looked at: Pickled::end says where it ended.
  Pickled run(std::size_t start = 0);

 private:
  struct Opcode;
  // nullptr for a byte that is no opcode at all; one that is refused has no action.
  static const Opcode* opcode(unsigned char code);

  template <typename... Args>
  [[noreturn]] void refuse(fmt::format_string<Args...> format, Args&&... args) const {
    throw_at(ErrorCode::corrupt, fmt::format(format, std::forward<Args>(args)...), {});
  }
  [[noreturn]] void throw_at(ErrorCode code, const std::string& reason,
                             const std::string& hint) const;

  // Bytes of the pickle, as the opcodes have them: corrupt where fewer are left. A number is
  // little-endian, a line at most 256 bytes before its LF, which is taken and not given.
  std::string_view take(std::uint64_t count);
  std::uint64_t take_unsigned(unsigned bytes);
  std::string_view take_line();

  // The stack; nothing is taken from below the last mark. Each throws corrupt for a stack that is
  // too short or too long, or for a value of another kind, which the message calls `what`.
  void push(Value value);
  Value pop();
  Value& top();
  std::size_t take_mark();               // the number of values below the last mark
  std::size_t below(std::size_t count);  // the number of values below the last `count`
  void require(const Value& value, Kind kind, std::string_view what) const;
  std::string_view text_of(const Value& value, std::string_view what) const;
  std::uint64_t count_of(const Value& value, std::string_view what) const;

  // Text enters the table of texts as it is; the values above `below` go into the container.
  void push_text(Kind kind, std::string_view text);
  void push_integer(std::string_view little_endian);
  void push_container(Kind kind, std::size_t below);  // of the values above `below`
  void fill(Kind kind, std::size_t below);
  void count_items(std::size_t added);
  // The memo: the top of the stack, which stays there, and a copy of what was remembered.
  void remember(std::uint64_t index);
  void recall(std::uint64_t index);

  // torch_calls.cc. reduce() and build() take their arguments off the stack; of what BUILD sets on
  // a dict nothing is kept. A tensor is checked against its storage as soon as it is built.
  void push_global(std::string_view module, std::string_view name);
  void push_storage();
  void reduce();
  void build();
  void rebuild_tensor(const std::vector<Value>& arguments, bool with_type);
  void rebuild_parameter(const std::vector<Value>& arguments);
  void require_notes(const Value& attributes) const;
  void require_plain(const Value& hooks, const Value& metadata) const;
  Shape shape_of(const Value& value, std::string_view what) const;
  void check_extent(const TensorRef& tensor) const;

  std::string_view bytes_;
  std::string subject_;
  PickleLimits limits_;
  std::size_t at_ = 0;      // the next byte
  std::size_t opcode_ = 0;  // where the opcode that runs began
  bool stopped_ = false;
  std::vector<Value> stack_;
  std::vector<std::size_t> marks_;
  std::size_t items_ = 0;                          // in all containers
  std::unordered_map<std::uint64_t, Value> memo_;  // no index costs more than one entry
  Pickled out_;
};

}  // namespace organ::format::internal
