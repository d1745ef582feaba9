// SPDX-License-Identifier: Apache-2.0
// The table of opcodes. Those without an action are known by name, to say what was refused.
#include <array>
#include <utility>

#include "format/pickle/internal/pickle_machine.h"

namespace organ::format::internal {

struct PickleMachine::Opcode {
  unsigned char code;
  std::string_view name;
  void (*run)(PickleMachine&) = nullptr;
};

const PickleMachine::Opcode* PickleMachine::opcode(unsigned char code) {
  using M = PickleMachine&;
  static const Opcode kOpcodes[] = {
      {0x80, "PROTO",
       [](M m) {
         const std::uint64_t protocol = m.take_unsigned(1);
         if (protocol < 2 || protocol > 5) m.refuse("protocol {} is not 2 to 5", protocol);
       }},
      {0x95, "FRAME",
       [](M m) {
         const std::uint64_t size = m.take_unsigned(8);
         if (size > m.bytes_.size() - m.at_)
           m.refuse("a frame of {} is cut off", counted(size, "byte"));
       }},
      {'.', "STOP",
       [](M m) {
         m.out_.root = m.pop();
         if (!m.stack_.empty() || !m.marks_.empty()) m.refuse("ends with values left over");
         m.stopped_ = true;
       }},
      {'(', "MARK",
       [](M m) {
         if (m.marks_.size() >= m.limits_.stack) m.refuse("more than {} marks", m.limits_.stack);
         m.marks_.push_back(m.stack_.size());
       }},
      {'0', "POP", [](M m) { m.pop(); }},
      {'1', "POP_MARK", [](M m) { m.stack_.resize(m.take_mark()); }},
      {'2', "DUP", [](M m) { m.push(m.top()); }},
      {'N', "NONE", [](M m) { m.push({}); }},
      {0x88, "NEWTRUE",
       [](M m) {
         m.push({Kind::boolean, 1});
       }},
      {0x89, "NEWFALSE",
       [](M m) {
         m.push({Kind::boolean, 0});
       }},
      {'J', "BININT", [](M m) { m.push_integer(m.take(4)); }},
      {'K', "BININT1",
       [](M m) {
         m.push({Kind::integer, static_cast<std::int64_t>(m.take_unsigned(1))});
       }},
      {'M', "BININT2",
       [](M m) {
         m.push({Kind::integer, static_cast<std::int64_t>(m.take_unsigned(2))});
       }},
      {0x8a, "LONG1", [](M m) { m.push_integer(m.take(m.take_unsigned(1))); }},
      {0x8b, "LONG4", [](M m) { m.push_integer(m.take(m.take_unsigned(4))); }},
      {'G', "BINFLOAT",
       [](M m) {
         m.take(8);
         m.push({Kind::real, 0});
       }},
      {'X', "BINUNICODE", [](M m) { m.push_text(Kind::text, m.take(m.take_unsigned(4))); }},
      {0x8c, "SHORT_BINUNICODE", [](M m) { m.push_text(Kind::text, m.take(m.take_unsigned(1))); }},
      {0x8d, "BINUNICODE8", [](M m) { m.push_text(Kind::text, m.take(m.take_unsigned(8))); }},
      {'T', "BINSTRING", [](M m) { m.push_text(Kind::text, m.take(m.take_unsigned(4))); }},
      {'U', "SHORT_BINSTRING", [](M m) { m.push_text(Kind::text, m.take(m.take_unsigned(1))); }},
      {'B', "BINBYTES", [](M m) { m.push_text(Kind::bytes, m.take(m.take_unsigned(4))); }},
      {'C', "SHORT_BINBYTES", [](M m) { m.push_text(Kind::bytes, m.take(m.take_unsigned(1))); }},
      {0x8e, "BINBYTES8", [](M m) { m.push_text(Kind::bytes, m.take(m.take_unsigned(8))); }},
      {')', "EMPTY_TUPLE", [](M m) { m.push_container(Kind::tuple, m.stack_.size()); }},
      {']', "EMPTY_LIST", [](M m) { m.push_container(Kind::list, m.stack_.size()); }},
      {'}', "EMPTY_DICT", [](M m) { m.push_container(Kind::dict, m.stack_.size()); }},
      {'t', "TUPLE", [](M m) { m.push_container(Kind::tuple, m.take_mark()); }},
      {0x85, "TUPLE1", [](M m) { m.push_container(Kind::tuple, m.below(1)); }},
      {0x86, "TUPLE2", [](M m) { m.push_container(Kind::tuple, m.below(2)); }},
      {0x87, "TUPLE3", [](M m) { m.push_container(Kind::tuple, m.below(3)); }},
      {'a', "APPEND", [](M m) { m.fill(Kind::list, m.below(1)); }},
      {'e', "APPENDS", [](M m) { m.fill(Kind::list, m.take_mark()); }},
      {'s', "SETITEM", [](M m) { m.fill(Kind::dict, m.below(2)); }},
      {'u', "SETITEMS", [](M m) { m.fill(Kind::dict, m.take_mark()); }},
      {'q', "BINPUT", [](M m) { m.remember(m.take_unsigned(1)); }},
      {'r', "LONG_BINPUT", [](M m) { m.remember(m.take_unsigned(4)); }},
      {0x94, "MEMOIZE", [](M m) { m.remember(m.memo_.size()); }},
      {'h', "BINGET", [](M m) { m.recall(m.take_unsigned(1)); }},
      {'j', "LONG_BINGET", [](M m) { m.recall(m.take_unsigned(4)); }},
      {'c', "GLOBAL",
       [](M m) {
         const std::string_view module = m.take_line();
         m.push_global(module, m.take_line());
       }},
      {0x93, "STACK_GLOBAL",
       [](M m) {
         const std::string_view name = m.text_of(m.pop(), "the name of a global");
         m.push_global(m.text_of(m.pop(), "the module of a global"), name);
       }},
      {'Q', "BINPERSID", [](M m) { m.push_storage(); }},
      {'R', "REDUCE", [](M m) { m.reduce(); }},
      {'b', "BUILD", [](M m) { m.build(); }},
      {'I', "INT"},
      {'L', "LONG"},
      {'F', "FLOAT"},
      {'S', "STRING"},
      {'V', "UNICODE"},
      {'P', "PERSID"},
      {'l', "LIST"},
      {'d', "DICT"},
      {'p', "PUT"},
      {'g', "GET"},
      {'i', "INST"},
      {'o', "OBJ"},
      {0x81, "NEWOBJ"},
      {0x82, "EXT1"},
      {0x83, "EXT2"},
      {0x84, "EXT4"},
      {0x8f, "EMPTY_SET"},
      {0x90, "ADDITEMS"},
      {0x91, "FROZENSET"},
      {0x92, "NEWOBJ_EX"},
      {0x96, "BYTEARRAY8"},
      {0x97, "NEXT_BUFFER"},
      {0x98, "READONLY_BUFFER"},
  };
  for (const Opcode& one : kOpcodes) {
    if (one.code == code) return &one;
  }
  return nullptr;
}

Pickled PickleMachine::run(std::size_t start) {
  static const auto by_code = [] {
    std::array<const Opcode*, 256> table{};
    for (unsigned code = 0; code < table.size(); ++code) {
      table[code] = opcode(static_cast<unsigned char>(code));
    }
    return table;
  }();
  at_ = start;
  stopped_ = false;
  memo_.clear();
  items_ = 0;
  out_ = Pickled();
  while (!stopped_) {
    opcode_ = at_;
    const auto code = static_cast<unsigned char>(take(1).front());
    const Opcode* found = by_code[code];
    if (found == nullptr) refuse("0x{:02x} is no opcode of a pickle", code);
    if (found->run == nullptr) refuse("opcode {} is not one that weights need", found->name);
    found->run(*this);
  }
  out_.end = at_;
  return std::exchange(out_, {});
}

}  // namespace organ::format::internal
