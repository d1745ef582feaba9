// SPDX-License-Identifier: Apache-2.0
// Input: one byte, then organ/log: its lines as they are, or, where the byte is odd, JSON texts
// whose leaf hashes are put before them. The byte also says how many lines the checkpoint leaves
// out and whether a pending note announces the first of these. Both are signed for what the lines
// say, so that the whole way through Log::scan and Log::recover is open.
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
void check_scan(const Room& room, const LogScan& scan, std::uint64_t visited, bool announced) {
  const Log& log = room.log;
  demand(scan.end.entries() == visited, "each entry is visited once");
  demand(scan.checkpoint.size == visited, "what the checkpoint covers is visited");
  const Log::Recovered recovered =
      log.recover(scan, room.scratch.path() / "quarantine", log.verifier_key());
  demand(announced || recovered != Log::Recovered::taken_in, "only what was announced is taken in");
  const LogScan again = log.scan({}, [](const LogPlace&, const LogEntry&) {});
  demand(again.beyond == 0, "recovery leaves nothing to recover");
  const std::uint64_t more = recovered == Log::Recovered::taken_in ? 1 : 0;
  demand(again.end.entries() == visited + more, "recovery keeps every entry that was covered");
  const LogScan none = log.scan(again.end, [](const LogPlace&, const LogEntry&) {
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
  const bool announced = mode / 8 % 2 == 1 && left_out > 0;
  const MerkleTree tree = tree_of(log, lines - left_out);
  const MerkleTree next = tree_of(log, announced ? tree.size() + 1 : 0);
  room.write("log", log);
  room.write("checkpoint",
             sign_checkpoint({room.signer}, {room.log.origin(), tree.size(), tree.root()}));
  room.write("pending",
             sign_checkpoint({room.signer}, {room.log.origin(), next.size(), next.root()},
                             NoteKind::pending));
  fuzz::expect({ErrorCode::corrupt, ErrorCode::unsupported_version}, [&] {
    std::uint64_t visited = 0;
    const LogScan scan = room.log.scan({}, [&](const LogPlace& place, const LogEntry& entry) {
      demand(place.index == visited++, "entries come in order");
      check_entry(entry);
    });
    check_scan(room, scan, visited, announced);
  });
}

}  // namespace
}  // namespace organ::registry

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  organ::registry::run(organ::fuzz::text_of(data, size));
  return 0;
}
