// SPDX-License-Identifier: Apache-2.0
#include "format/pickle/internal/pickle_machine.h"

#include <algorithm>
#include <utility>

namespace organ::format::internal {

std::string_view to_string(Kind kind) {
  switch (kind) {
    case Kind::none: return "None";
    case Kind::boolean: return "a truth value";
    case Kind::integer: return "an integer";
    case Kind::big_integer: return "an integer beyond 64 bits";
    case Kind::real: return "a real number";
    case Kind::text: return "a text";
    case Kind::bytes: return "bytes";
    case Kind::tuple: return "a tuple";
    case Kind::list: return "a list";
    case Kind::dict: return "a dict";
    case Kind::global: return "a global";
    case Kind::storage: return "a storage";
    case Kind::tensor: return "a tensor";
    case Kind::other: break;
  }
  return "an object";
}

void PickleMachine::throw_at(ErrorCode code, const std::string& reason,
                             const std::string& hint) const {
  throw Error(code, fmt::format("{}: byte {}: {}", quote(subject_), opcode_, reason), hint);
}

std::string_view PickleMachine::take(std::uint64_t count) {
  if (count > bytes_.size() - at_) {
    refuse("announced: {}, left: {}", counted(count, "byte"), bytes_.size() - at_);
  }
  const std::string_view taken = bytes_.substr(at_, count);
  at_ += count;
  return taken;
}

std::uint64_t PickleMachine::take_unsigned(unsigned bytes) {
  const std::string_view taken = take(bytes);
  std::uint64_t value = 0;
  for (unsigned i = bytes; i-- > 0;) value = value << 8 | static_cast<unsigned char>(taken[i]);
  return value;
}

std::string_view PickleMachine::take_line() {
  constexpr std::size_t kLongest = 256;
  const std::size_t end = bytes_.substr(at_, kLongest + 1).find('\n');
  if (end == std::string_view::npos) refuse("a name has no end within {} bytes", kLongest);
  const std::string_view line = take(end);
  ++at_;
  return line;
}

void PickleMachine::push(Value value) {
  if (stack_.size() >= limits_.stack) refuse("more than {} values at one time", limits_.stack);
  stack_.push_back(value);
}

std::size_t PickleMachine::take_mark() {
  if (marks_.empty()) refuse("no mark is set");
  const std::size_t below = marks_.back();
  marks_.pop_back();
  return below;
}

std::size_t PickleMachine::below(std::size_t count) {
  if (stack_.size() - (marks_.empty() ? 0 : marks_.back()) < count) {
    refuse("takes from an empty stack");
  }
  return stack_.size() - count;
}

Value PickleMachine::pop() {
  const Value value = top();
  stack_.pop_back();
  return value;
}

Value& PickleMachine::top() {
  if (stack_.size() <= (marks_.empty() ? 0 : marks_.back())) refuse("takes from an empty stack");
  return stack_.back();
}

void PickleMachine::require(const Value& value, Kind kind, std::string_view what) const {
  if (value.kind == kind) return;
  refuse("{} is {}, expected {}", what, to_string(value.kind), to_string(kind));
}

std::string_view PickleMachine::text_of(const Value& value, std::string_view what) const {
  require(value, Kind::text, what);
  return out_.text(value);
}

std::uint64_t PickleMachine::count_of(const Value& value, std::string_view what) const {
  require(value, Kind::integer, what);
  if (value.number < 0) refuse("{} is {}, a negative number", what, value.number);
  return static_cast<std::uint64_t>(value.number);
}

void PickleMachine::push_text(Kind kind, std::string_view text) {
  if (out_.texts.size() >= limits_.texts) refuse("more than {} texts", limits_.texts);
  push({kind, static_cast<std::int64_t>(out_.texts.size())});
  out_.texts.push_back(text);
}

// Two's complement of any length; nothing in a file of weights has more than 64 bits but the number
// that old ones begin with.
void PickleMachine::push_integer(std::string_view little_endian) {
  const auto repeats_sign = [&] {
    const auto last = static_cast<unsigned char>(little_endian.back());
    const auto before = static_cast<unsigned char>(little_endian[little_endian.size() - 2]);
    return last == (before < 0x80 ? 0x00 : 0xFF);
  };
  while (little_endian.size() > sizeof(std::int64_t) && repeats_sign())
    little_endian.remove_suffix(1);
  if (little_endian.size() > sizeof(std::int64_t)) {
    push_text(Kind::big_integer, little_endian);
    return;
  }
  std::uint64_t bits = 0;
  for (std::size_t i = little_endian.size(); i-- > 0;) {
    bits = bits << 8 | static_cast<unsigned char>(little_endian[i]);
  }
  const std::size_t unused = 64 - 8 * little_endian.size();
  const auto value =
      little_endian.empty() ? std::int64_t{0} : static_cast<std::int64_t>(bits << unused) >> unused;
  push({Kind::integer, value});
}

void PickleMachine::push_container(Kind kind, std::size_t below) {
  if (out_.containers.size() >= limits_.containers) {
    refuse("more than {} containers", limits_.containers);
  }
  count_items(stack_.size() - below);
  const auto first = stack_.begin() + static_cast<std::ptrdiff_t>(below);
  out_.containers.emplace_back(first, stack_.end());
  stack_.erase(first, stack_.end());
  push({kind, static_cast<std::int64_t>(out_.containers.size() - 1)});
}

// Puts the values above `below` into the container under them.
void PickleMachine::fill(Kind kind, std::size_t below) {
  if (kind == Kind::dict && (stack_.size() - below) % 2 != 0) refuse("a key has no value");
  const std::vector<Value> added(stack_.begin() + static_cast<std::ptrdiff_t>(below), stack_.end());
  stack_.resize(below);
  require(top(), kind, "what is filled");
  auto& items = out_.containers[static_cast<std::size_t>(top().number)];
  if (added.size() > limits_.stack - std::min(limits_.stack, items.size())) {
    refuse("a container of more than {} values", limits_.stack);
  }
  count_items(added.size());
  items.insert(items.end(), added.begin(), added.end());
}

// A value costs a byte of the pickle and some words here.
void PickleMachine::count_items(std::size_t added) {
  items_ += added;
  if (items_ > limits_.items) refuse("containers of more than {} values", limits_.items);
}

void PickleMachine::remember(std::uint64_t index) {
  if (memo_.size() >= limits_.memo) refuse("remembers more than {} values", limits_.memo);
  memo_[index] = top();
}

void PickleMachine::recall(std::uint64_t index) {
  const auto found = memo_.find(index);
  if (found == memo_.end()) refuse("value {} was never remembered", index);
  push(found->second);
}

}  // namespace organ::format::internal
