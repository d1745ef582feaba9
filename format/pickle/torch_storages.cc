// SPDX-License-Identifier: Apache-2.0
#include "format/pickle/internal/torch_storages.h"

#include <algorithm>
#include <map>
#include <span>

#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/pickle/internal/pickle_machine.h"

namespace organ::format::internal {
namespace {

std::string read_bytes(int fd, std::uint64_t begin, std::uint64_t size, std::string_view subject) {
  std::string text(size, '\0');
  read_at(fd, begin, std::as_writable_bytes(std::span(text)), subject);
  return text;
}

std::uint64_t storage_bytes(const StorageRef& storage, std::string_view subject) {
  return checked_mul(storage.elements, storage.element_bytes(), subject);
}

[[noreturn]] void refuse_byte_order(std::string_view subject) {
  throw Error(ErrorCode::incompatible,
              fmt::format("{}: its numbers are big-endian", quote(subject)),
              "load it with torch and save it again on a little-endian machine");
}

// --- ZIP

// Every member lies in one folder, named after the file that torch was asked to write.
std::string root_of(const ZipArchive& archive, std::string_view subject) {
  constexpr std::string_view kPickle = "/data.pkl";
  std::string root;
  for (const auto& [name, member] : archive.members) {
    if (!name.ends_with(kPickle) || name.find('/') != name.size() - kPickle.size()) continue;
    if (!root.empty()) fail(ErrorCode::corrupt, "{}: holds several data.pkl", quote(subject));
    root = name.substr(0, name.size() - kPickle.size() + 1);
  }
  if (root.empty()) {
    throw Error(
        ErrorCode::corrupt,
        fmt::format("{}: is a ZIP file without data.pkl, so none of torch.save", quote(subject)),
        "");
  }
  for (const auto& [name, member] : archive.members) {
    if (!name.starts_with(root)) {
      fail(ErrorCode::corrupt, "{}: member {} lies outside {}", quote(subject), quote(name),
           quote(root));
    }
  }
  return root;
}

// torch finds a member whatever the case of its letters; here what is called otherwise would be
// passed over.
void require_usual_spelling(const ZipArchive& archive, const std::string& root,
                            std::string_view subject) {
  constexpr std::string_view kNames[] = {"data.pkl", "byteorder", "version", "constants.pkl"};
  for (const auto& [name, member] : archive.members) {
    const std::string_view rest = std::string_view(name).substr(root.size());
    const std::string lower = lower_case(rest);
    const auto known = std::find(std::begin(kNames), std::end(kNames), lower);
    const bool in_folder = lower.starts_with("data/") || lower.starts_with("code/");
    const std::size_t compared = known != std::end(kNames) ? rest.size() : in_folder ? 5U : 0U;
    if (rest.substr(0, compared) == lower.substr(0, compared)) continue;
    fail(ErrorCode::corrupt, "{}: member {} is one of torch's in other letters", quote(subject),
         quote(name));
  }
}

// torch keeps what is said first of a storage, so it may be said one way only.
std::map<std::string_view, const StorageRef*> by_key(const Pickled& pickled,
                                                     std::string_view subject) {
  std::map<std::string_view, const StorageRef*> storages;
  for (const StorageRef& storage : pickled.storages) {
    const auto [at, added] = storages.emplace(storage.key, &storage);
    if (!added && (at->second->elements != storage.elements || at->second->type != storage.type)) {
      fail(ErrorCode::corrupt, "{}: storage {} is said to be two things", quote(subject),
           quote(storage.key));
    }
  }
  return storages;
}

void refuse_programs(const ZipArchive& archive, const std::string& root, std::string_view subject) {
  const auto code = archive.members.lower_bound(root + "code/");
  const bool holds_code = code != archive.members.end() && code->first.starts_with(root + "code/");
  if (!holds_code && !archive.members.contains(root + "constants.pkl")) return;
  throw Error(ErrorCode::incompatible,
              fmt::format("{}: is a TorchScript program, not a file of weights", quote(subject)),
              "save its weights: torch.save(module.state_dict(), FILE)");
}

}  // namespace

void read_torch_zip(int fd, const ZipArchive& archive, std::string_view subject,
                    TorchContents& contents) {
  const std::string root = root_of(archive, subject);
  require_usual_spelling(archive, root, subject);
  refuse_programs(archive, root, subject);
  const PickleLimits limits;
  const ZipMember& pickle = archive.members.find(root + "data.pkl")->second;
  if (pickle.size > limits.bytes) {
    fail(ErrorCode::corrupt, "{}: data.pkl has {} bytes, the limit is {}", quote(subject),
         pickle.size, limits.bytes);
  }
  const auto order = archive.members.find(root + "byteorder");
  if (order != archive.members.end()) {
    const std::string word = read_bytes(fd, order->second.begin,
                                        std::min<std::uint64_t>(order->second.size, 16), subject);
    if (word == "big") refuse_byte_order(subject);
    if (word != "little")
      fail(ErrorCode::corrupt, "{}: byteorder is {}", quote(subject), quote(word));
  }
  contents.bytes = read_bytes(fd, pickle.begin, pickle.size, subject);
  PickleMachine machine(contents.bytes, std::string(subject) + ": data.pkl", limits);
  contents.pickled = machine.run();
  if (contents.pickled.end != contents.bytes.size()) {
    fail(ErrorCode::corrupt, "{}: data.pkl: {} after the pickle", quote(subject),
         counted(contents.bytes.size() - contents.pickled.end, "byte"));
  }
  by_key(contents.pickled, subject);
  for (const StorageRef& storage : contents.pickled.storages) {
    const auto found = archive.members.find(root + "data/" + std::string(storage.key));
    if (found == archive.members.end()) {
      fail(ErrorCode::corrupt, "{}: storage {} is missing", quote(subject), quote(storage.key));
    }
    if (const auto bytes = storage_bytes(storage, subject); bytes != found->second.size) {
      fail(ErrorCode::corrupt, "{}: storage {} has {}, expected {}", quote(subject),
           quote(storage.key), counted(found->second.size, "byte"), bytes);
    }
    contents.places.push_back(found->second.begin);
  }
}

// --- the stream of before

namespace {

// What every such file begins with, as a LONG1 of 10 bytes: 0x1950a86a20f9469cfc6c.
constexpr std::string_view kMagic = "\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";
constexpr std::int64_t kProtocol = 1001;

// The value of a text key in a dict of a file's own description; nullptr without one.
const Value* find_key(const Pickled& pickled, std::string_view key) {
  if (pickled.root.kind != Kind::dict) return nullptr;
  const std::vector<Value>& items = pickled.items(pickled.root);
  for (std::size_t i = 0; i + 1 < items.size(); i += 2) {
    if (items[i].kind == Kind::text && pickled.text(items[i]) == key) return &items[i + 1];
  }
  return nullptr;
}

std::size_t read_preface(PickleMachine& machine, std::string_view subject) {
  const Pickled magic = machine.run();
  if (magic.root.kind != Kind::big_integer || magic.text(magic.root) != kMagic) {
    throw Error(ErrorCode::corrupt,
                fmt::format("{}: is a pickle, but no file of torch.save", quote(subject)),
                "a file of weights is written by torch.save(model.state_dict(), FILE)");
  }
  const Pickled protocol = machine.run(magic.end);
  if (protocol.root.kind != Kind::integer || protocol.root.number != kProtocol) {
    fail(ErrorCode::corrupt, "{}: the version of its layout is not {}", quote(subject), kProtocol);
  }
  const Pickled system = machine.run(protocol.end);
  const Value* little = find_key(system, "little_endian");
  if (little == nullptr || little->kind != Kind::boolean) {
    fail(ErrorCode::corrupt, "{}: does not say its byte order", quote(subject));
  }
  if (little->number == 0) refuse_byte_order(subject);
  return system.end;
}

// The storages in the order of the keys: a count of elements, then their bytes.
std::map<std::string_view, std::uint64_t> place_storages(int fd, const Pickled& keys,
                                                         const Pickled& pickled,
                                                         std::string_view subject) {
  constexpr std::uint64_t kCount = 8;
  const auto wanted = by_key(pickled, subject);
  const std::uint64_t size = file_size(fd, subject);
  std::map<std::string_view, std::uint64_t> places;
  std::uint64_t at = keys.end;
  if (keys.root.kind != Kind::list)
    fail(ErrorCode::corrupt, "{}: lists no storages", quote(subject));
  for (const Value& key : keys.items(keys.root)) {
    const auto found = key.kind == Kind::text ? wanted.find(keys.text(key)) : wanted.end();
    if (found == wanted.end() || places.contains(found->first)) {
      fail(ErrorCode::corrupt, "{}: lists a storage twice, or one that no tensor has",
           quote(subject));
    }
    const StorageRef& storage = *found->second;
    const std::uint64_t bytes = storage_bytes(storage, subject);
    if (size - at < kCount || size - at - kCount < bytes) {
      fail(ErrorCode::corrupt, "{}: storage {} of {} is cut off", quote(subject),
           quote(storage.key), bytes);
    }
    const std::string count = read_bytes(fd, at, kCount, subject);
    std::uint64_t elements = 0;
    for (unsigned i = kCount; i-- > 0;)
      elements = elements << 8 | static_cast<unsigned char>(count[i]);
    if (elements != storage.elements) {
      fail(ErrorCode::corrupt, "{}: storage {} has {} elements, expected {}", quote(subject),
           quote(storage.key), elements, storage.elements);
    }
    places.emplace(found->first, at + kCount);
    at += kCount + bytes;
  }
  if (at != size)
    fail(ErrorCode::corrupt, "{}: {} after the last storage", quote(subject),
         counted(size - at, "byte"));
  return places;
}

}  // namespace

void read_torch_stream(int fd, std::string_view subject, TorchContents& contents) {
  const PickleLimits limits;
  const std::uint64_t size = file_size(fd, subject);
  contents.bytes = read_bytes(fd, 0, std::min(size, limits.bytes), subject);
  PickleMachine machine(contents.bytes, std::string(subject), limits);
  contents.pickled = machine.run(read_preface(machine, subject));
  const Pickled keys = machine.run(contents.pickled.end);
  const auto places = place_storages(fd, keys, contents.pickled, subject);
  for (const StorageRef& storage : contents.pickled.storages) {
    const auto found = places.find(storage.key);
    if (found == places.end()) {
      fail(ErrorCode::corrupt, "{}: storage {} is missing", quote(subject), quote(storage.key));
    }
    contents.places.push_back(found->second);
  }
}

}  // namespace organ::format::internal
