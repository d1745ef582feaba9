// SPDX-License-Identifier: Apache-2.0
#include "registry/blobs/blob_store.h"
#include "format/base/file.h"
#include "format/base/path_status.h"

#include <chrono>
#include <fstream>
#include <thread>

#include "tests/registry/support.h"

using namespace organ;
using namespace organ::registry;
using namespace organ::test;

namespace {

struct Store {
  TempFolder folder = scratch();
  BlobStore blobs{folder.path()};
  std::string text = "four tensors and a norm";
  Digest digest = sha256(text);
  Store() {
    fs::create_directories(folder.path() / "blobs" / "sha256");
    blobs.put(text, digest);
  }
  std::string refusal() const {
    return error_of([&] { blobs.read(digest, text.size()); });
  }
};

}  // namespace

TEST_CASE("blob store: an object is read-only, named by its digest and stored once") {
  const Store store;
  CHECK(store.blobs.read(store.digest, store.text.size()) == store.text);
  CHECK_FALSE(store.blobs.put(store.text, store.digest));
  const auto mode = fs::status(store.blobs.path(store.digest)).permissions();
  CHECK((mode & fs::perms::all) == fs::perms(0444));
  CHECK(list_folder(store.folder.path() / "blobs" / "sha256").size() == 1);
}

TEST_CASE("blob store: bytes that do not have the promised digest leave nothing behind") {
  const Store store;
  CHECK(contains(error_of([&] { store.blobs.put("other", sha256("promised")); }), "corrupt: blob"));
  CHECK(list_folder(store.folder.path() / "blobs" / "sha256").size() == 1);
}

TEST_CASE("blob store: what lies damaged under the name is written anew") {
  const Store store;
  const fs::path path = store.blobs.path(store.digest);
  std::string other = store.text;
  other[3] = 'X';
  for (const std::string& damage : {other, store.text.substr(1), store.text + "x", std::string()}) {
    spill(path, damage);
    CHECK(store.blobs.put(store.text, store.digest));
    CHECK(store.blobs.read(store.digest, store.text.size()) == store.text);
    CHECK_FALSE(store.blobs.put(store.text, store.digest));
  }
  CHECK(list_folder(path.parent_path()).size() == 1);
}

TEST_CASE("blob store: damage is named on read") {
  const Store store;
  const fs::path path = store.blobs.path(store.digest);
  SUBCASE("missing") {
    fs::remove(path);
    CHECK(contains(store.refusal(), "is missing"));
  }
  SUBCASE("short") {
    spill(path, store.text.substr(1));
    CHECK(contains(store.refusal(), "has 22 bytes, expected 23"));
  }
  SUBCASE("other content of the same size") {
    std::string other = store.text;
    other[3] = 'X';
    spill(path, other);
    CHECK(contains(store.refusal(), "content has digest"));
  }
  SUBCASE("writable: only the digest decides") {
    CHECK_FALSE(store.blobs.is_writable(store.digest));
    fs::permissions(path, fs::perms::all);
    CHECK(store.blobs.is_writable(store.digest));
    CHECK(store.blobs.read(store.digest, store.text.size()) == store.text);
    CHECK_FALSE(store.blobs.put(store.text, store.digest));
  }
  SUBCASE("symlink to the right bytes") {
    fs::rename(path, store.folder.path() / "elsewhere");
    fs::create_symlink(store.folder.path() / "elsewhere", path);
    CHECK(contains(store.refusal(), "is a symlink"));
    CHECK(store.blobs.put(store.text, store.digest));
    CHECK_FALSE(fs::is_symlink(path));
    CHECK(slurp(store.folder.path() / "elsewhere") == store.text);
  }
  SUBCASE("folder") {
    fs::remove(path);
    fs::create_directory(path);
    CHECK(contains(store.refusal(), "not a regular file"));
  }
}

TEST_CASE("blob store: a file that was fetched for it becomes the object, without a copy") {
  const Store store;
  const fs::path file = store.folder.path() / "fetched";
  const std::string text = "weights of a pull";
  const Digest digest = sha256(text);
  const auto adopted = [&](const Digest& wanted) {
    return store.blobs.adopt(open_regular(file), text.size(), wanted, "fetched");
  };
  write_file(file, "weights of a full");
  CHECK(contains(error_of([&] { adopted(digest); }), "corrupt: "));
  CHECK(contains(error_of([&] { store.blobs.adopt(open_regular(file), 3, digest, "fetched"); }),
                 "expected 3"));
  CHECK_FALSE(store.blobs.has(digest, text.size()));

  write_file(file, text);
  CHECK(store.blobs.link(adopted(digest)));
  const fs::path object = store.blobs.path(digest);
  CHECK(fs::equivalent(file, object));
  CHECK((fs::status(object).permissions() & fs::perms::all) == fs::perms(0444));
  CHECK(store.blobs.read(digest, text.size()) == text);
  CHECK_FALSE(store.blobs.link(adopted(digest)));  // it is here already
}

TEST_CASE("blob store: what is known is not read again; what has to be copied is hashed") {
  const Store store;
  const fs::path file = store.folder.path() / "fetched";
  write_file(file, "weights of a full");
  const std::string text = "weights of a pull";
  const auto adopt = [&](const std::optional<FileStamp>& known) {
    return store.blobs.adopt(open_regular(file), text.size(), sha256(text), "fetched", {}, known);
  };
  CHECK(adopt(file_stamp(file)).digest == sha256(text));  // believed: whoever says so hashed it
  // Written since, whatever its time says.
  fs::permissions(file, fs::perms(0600));
  const auto hashed = file_stamp(file);
  const auto time = fs::last_write_time(file);
  std::this_thread::sleep_for(std::chrono::milliseconds(20));  // more than a file system's tick
  std::ofstream(file, std::ios::in | std::ios::out) << "W";
  fs::last_write_time(file, time);
  CHECK(contains(error_of([&] { adopt(hashed); }), "corrupt: "));
  fs::permissions(file, fs::perms(0620));
  CHECK(contains(error_of([&] { adopt(file_stamp(file)); }), "corrupt: "));
  fs::permissions(file, fs::perms(0600));
  fs::resize_file(file, 3);
  CHECK(contains(error_of([&] { adopt(file_stamp(file)); }), "expected 17"));
}

TEST_CASE("blob store: a file that somebody else has too is copied, and left as it is") {
  const Store store;
  const fs::path file = store.folder.path() / "theirs", other = store.folder.path() / "other name";
  const std::string text = "weights of somebody else";
  write_file(file, text);
  fs::create_hard_link(file, other);
  const auto mode = fs::status(file).permissions();
  CHECK(
      store.blobs.link(store.blobs.adopt(open_regular(file), text.size(), sha256(text), "theirs")));
  CHECK_FALSE(fs::equivalent(file, store.blobs.path(sha256(text))));
  CHECK(fs::status(file).permissions() == mode);
  CHECK(store.blobs.read(sha256(text), text.size()) == text);
}

TEST_CASE("blob store: what others may have open for writing is copied") {
  const Store store;
  const fs::path file = store.folder.path() / "fetched";
  const std::string text = "weights of a group";
  write_file(file, text);
  SUBCASE("of a group's registry") { fs::permissions(store.blobs.folder(), fs::perms(02775)); }
  SUBCASE("it was one of a group") { fs::permissions(file, fs::perms(0620)); }
  CHECK(store.blobs.link(
      store.blobs.adopt(open_regular(file), text.size(), sha256(text), "fetched")));
  CHECK_FALSE(fs::equivalent(file, store.blobs.path(sha256(text))));
  CHECK(store.blobs.read(sha256(text), text.size()) == text);
}

TEST_CASE("blob store: a damaged object is replaced by a copy of what was fetched") {
  const Store store;
  const fs::path file = store.folder.path() / "fetched";
  spill(store.blobs.path(store.digest), "four tensors and a form");
  write_file(file, store.text);
  CHECK(store.blobs.link(
      store.blobs.adopt(open_regular(file), store.text.size(), store.digest, "fetched")));
  CHECK(store.blobs.read(store.digest, store.text.size()) == store.text);
  CHECK_FALSE(fs::equivalent(file, store.blobs.path(store.digest)));
}
