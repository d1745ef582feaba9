// SPDX-License-Identifier: Apache-2.0
// Input: one byte, how many lines the checkpoint leaves out, then organ/log: its lines as they are,
// or, where the byte is odd, JSON texts whose leaf hashes are put before them. The checkpoint is
// signed for what the lines say, so that the whole way through Log::scan is open.
#include <algorithm>
#include <filesystem>
#include <string>

#include "format/base/file.h"
#include "registry/log/log.h"
#include "tests/fuzz/scratch.h"
#include "tests/fuzz/target.h"

namespace organ::registry {
namespace {

namespace fs = std::filesystem;
using fuzz::demand;

// A log of one's own: its key is made once per process.
struct Room {
  Room()
      : log(Log::create(made(scratch.path()), "2026-01-31T12:00:00Z")),
        signer(NoteSigner::load(scratch.path() / "log.key")) {}
  static const fs::path& made(const fs::path& folder) {
    fs::create_directories(folder / "trust");
    return folder;
  }
  void write(const char* name, std::string_view text) const {
    fuzz::overwrite(scratch.path() / name, text);
  }

  fuzz::Scratch scratch;
  Log log;
  NoteSigner signer;
};

std::string with_hashes(std::string_view input) {
  std::string out;
  while (!input.empty()) {
    const std::size_t end = std::min(input.find('\n'), input.size());
    const std::string_view json = input.substr(0, end);
    out += merkle_leaf(json).hex() + " " + std::string(json) + "\n";
    input.remove_prefix(std::min(end + 1, input.size()));
  }
  return out;
}

// The tree of the first `count` lines.
MerkleTree tree_of(std::string_view log, std::size_t count) {
  MerkleTree tree;
  while (tree.size() < count) {
    const std::size_t end = log.find('\n');
    const std::string_view line = log.substr(0, end);
    tree.append(merkle_leaf(line.substr(std::min<std::size_t>(65, line.size()))));
    log.remove_prefix(end + 1);
  }
  return tree;
}

void check_entry(const LogEntry& entry) {
  const std::string text = entry.to_text();
  demand(text.find('\n') == std::string::npos, "an entry is one line");
  demand(LogEntry::parse(text, "again") == entry, "an entry is read again as it was written");
}

// What was scanned once is scanned again from any position, and after recovery nothing is left.
void check_scan(const Log& log, const LogScan& scan, std::uint64_t visited) {
  demand(scan.end.entries() == visited, "each entry is visited once");
  demand(scan.checkpoint.size == visited || scan.checkpoint.size + 1 == visited,
         "at most the last entry lies beyond the checkpoint");
  log.recover(scan);
  const LogScan again = log.scan({}, [](std::uint64_t, const LogEntry&) {});
  demand(!again.needs_recovery(), "recovery leaves nothing to recover");
  demand(again.end.tree.root() == scan.end.tree.root(), "recovery keeps every whole entry");
  const LogScan none = log.scan(again.end, [](std::uint64_t, const LogEntry&) {
    demand(false, "nothing stands behind the end");
  });
  demand(none.end.bytes == again.end.bytes, "the end stays where it was");
}

void run(std::string_view input) {
  static const Room room;
  if (input.empty()) return;
  const auto mode = static_cast<unsigned char>(input[0]);
  input.remove_prefix(1);
  const std::string log = mode % 2 == 1 ? with_hashes(input) : std::string(input);
  const auto lines = static_cast<std::size_t>(std::count(log.begin(), log.end(), '\n'));
  const std::size_t left_out = std::min<std::size_t>(mode / 2 % 4, lines);
  const MerkleTree tree = tree_of(log, lines - left_out);
  room.write("log", log);
  room.write("checkpoint", room.signer.sign({room.log.origin(), tree.size(), tree.root()}));
  fuzz::expect({ErrorCode::corrupt, ErrorCode::unsupported_version}, [&] {
    std::uint64_t visited = 0;
    const LogScan scan = room.log.scan({}, [&](std::uint64_t index, const LogEntry& entry) {
      demand(index == visited++, "entries come in order");
      check_entry(entry);
    });
    check_scan(room.log, scan, visited);
  });
}

}  // namespace
}  // namespace organ::registry

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  organ::registry::run(organ::fuzz::text_of(data, size));
  return 0;
}
