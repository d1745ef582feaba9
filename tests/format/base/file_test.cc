// SPDX-License-Identifier: Apache-2.0
#include "format/base/file.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/support.h"

using namespace organ;
namespace fs = std::filesystem;

TEST_CASE("open_regular: refuses folder, FIFO, socket, device and symlink without blocking") {
  const auto folder = test::scratch();
  const fs::path& root = folder.path();
  write_file(root / "file", "x");
  REQUIRE(::mkfifo((root / "fifo").c_str(), 0600) == 0);
  REQUIRE(::mknod((root / "socket").c_str(), S_IFSOCK | 0600, 0) == 0);
  fs::create_symlink("file", root / "link");
  fs::create_symlink("loop", root / "loop");
  CHECK(open_regular(root / "file").get() >= 0);
  CHECK(open_regular(root / "link").get() >= 0);
  CHECK(test::error_of([&] { open_regular(root / "link", Symlinks::refuse); }).find("corrupt") ==
        0);
  CHECK(test::error_of([&] { open_regular(root / "loop"); }).find("corrupt") == 0);
  CHECK(test::error_of([&] { open_regular(root / "fifo"); }).find("got a FIFO") !=
        std::string::npos);
  CHECK(test::error_of([&] { open_regular(root / "socket"); }).ends_with("got a socket"));
  CHECK(test::error_of([&] { open_regular(root); }).find("got a folder") != std::string::npos);
  CHECK(test::error_of([&] { open_regular("/dev/null"); }).find("got a device") !=
        std::string::npos);
  CHECK(test::error_of([&] { open_regular(root / "no"); }).find("not_found") == 0);
}

TEST_CASE("read_file: the limit is checked before anything is read") {
  const auto folder = test::scratch();
  write_file(folder.path() / "f", "12345");
  CHECK(read_file(folder.path() / "f", 5) == "12345");
  CHECK(test::error_of([&] {
          read_file(folder.path() / "f", 4);
        }).find("expected at most 4 bytes, got 5") != std::string::npos);
}

TEST_CASE("atomic file: without commit nothing is left, with it the file is whole") {
  const auto folder = test::scratch();
  const fs::path path = folder.path() / "f";
  {
    AtomicFile file(path);
    file.write("half");
  }
  CHECK(list_folder(folder.path()).empty());
  write_file(path, "first");
  CHECK(test::error_of([&] {
          write_file(path, "x", AtomicFile::Mode::create_new);
        }).find("already_exists") == 0);
  CHECK(read_file(path, 100) == "first");
  write_file(path, "second", AtomicFile::Mode::replace, 0444);
  CHECK(read_file(path, 100) == "second");
  CHECK(list_folder(folder.path()).size() == 1);
  struct stat status {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0444);
}

TEST_CASE("atomic file: names as long as the file system has them") {
  const auto folder = test::scratch();
  for (const std::string_view letter : {"a", "\xc3\xa9", "\xf0\x9f\xab\x80"}) {
    for (std::size_t length = 224; length <= 255; ++length) {
      std::string name;
      while (name.size() + letter.size() <= length) name += letter;
      CAPTURE(name);
      write_file(folder.path() / name, "x");
      CHECK(list_folder(folder.path()) == std::vector<std::string>{name});
      fs::remove(folder.path() / name);
    }
  }
}

TEST_CASE("atomic file: replaces a symlink's name, never its target") {
  const auto folder = test::scratch();
  write_file(folder.path() / "target", "old");
  fs::create_symlink("target", folder.path() / "link");
  write_file(folder.path() / "link", "new");
  CHECK(read_file(folder.path() / "target", 10) == "old");
  CHECK(read_file(folder.path() / "link", 10, Symlinks::refuse) == "new");
}

TEST_CASE("copy_contents: equal bytes for sizes around the copy block") {
  const auto folder = test::scratch();
  for (const std::size_t size : {0u, 1u, 4096u, 5u << 20}) {
    const std::string bytes(size, 'b');
    write_file(folder.path() / "from", bytes);
    AtomicFile to(folder.path() / "to");
    CHECK(copy_contents(open_regular(folder.path() / "from").get(), to.fd(), "from") == size);
    to.commit();
    CHECK(read_file(folder.path() / "to", 1u << 24) == bytes);
  }
}

TEST_CASE("temp folder: removed with its contents unless released") {
  const auto folder = test::scratch();
  fs::path kept;
  {
    TempFolder gone(folder.path(), "t");
    write_file(gone.path() / "f", "x");
    TempFolder stays(folder.path(), "t");
    kept = stays.path();
    stays.release();
  }
  CHECK(list_folder(folder.path()) == std::vector<std::string>{kept.filename().string()});
}

TEST_CASE("safe file names: one plain component on every system") {
  for (const char* good : {"layer.00.safetensors", "README.md", "a", "A-b_c.d"}) {
    CHECK(is_safe_file_name(good));
  }
  for (const char* bad : {"", ".", "..", ".hidden", "-rf", "a/b", "a\\b", "a b", "a\n", "con",
                          "NUL.txt", "com1", "lpt9.x", "trailing.", "ü", "a:b", "a*"}) {
    CHECK_FALSE(is_safe_file_name(bad));
  }
  CHECK_FALSE(is_safe_file_name(std::string(256, 'a')));
}

namespace {

// Another process that holds a lock and then does `afterwards`; ended and reaped by the destructor.
class LockHolder {
 public:
  template <typename Action>
  LockHolder(const fs::path& path, FileLock::Kind kind, Action afterwards) {
    int ready[2];
    REQUIRE(::pipe(ready) == 0);
    process_ = ::fork();
    if (process_ == 0) {
      const FileLock lock(path, kind);
      (void)!::write(ready[1], "x", 1);
      afterwards();
      ::_exit(0);
    }
    char byte = 0;
    const ssize_t got = ::read(ready[0], &byte, 1);
    ::close(ready[0]);
    ::close(ready[1]);
    REQUIRE(got == 1);
  }
  LockHolder(const LockHolder&) = delete;
  LockHolder& operator=(const LockHolder&) = delete;
  ~LockHolder() {
    ::kill(process_, SIGKILL);
    ::waitpid(process_, nullptr, 0);
  }
  pid_t process() const { return process_; }

 private:
  pid_t process_ = 0;
};

}  // namespace

TEST_CASE("file lock: a second process waits, then gets a conflict that names the holder") {
  const auto folder = test::scratch();
  const fs::path path = folder.path() / "lock";
  {
    const LockHolder holder(path, FileLock::Kind::exclusive, [] { ::pause(); });
    const std::string error = test::error_of([&] { FileLock(path, FileLock::Kind::shared, 0.1); });
    CHECK(error.find("conflict: ") == 0);
    CHECK(error.find("process " + std::to_string(holder.process())) != std::string::npos);
  }
  CHECK(test::error_of([&] { FileLock(path, FileLock::Kind::exclusive, 0.1); }) == "no error");
}

TEST_CASE("file lock: who waited for a removed lock file locks the new one") {
  const auto folder = test::scratch();
  const fs::path path = folder.path() / "lock";
  const LockHolder holder(path, FileLock::Kind::exclusive, [&] {
    ::usleep(100'000);
    ::unlink(path.c_str());
  });
  const FileLock lock(path, FileLock::Kind::exclusive, 5);
  const std::string error = test::error_of([&] { FileLock(path, FileLock::Kind::shared, 0); });
  CHECK(error.find("locked by process " + std::to_string(::getpid())) != std::string::npos);
}

TEST_CASE("file lock: a conflict names who holds it now, not who held it last") {
  const auto folder = test::scratch();
  const fs::path path = folder.path() / "lock";
  const auto wait = [] { ::pause(); };
  pid_t gone = 0;
  {
    const LockHolder before(path, FileLock::Kind::exclusive, wait);
    gone = before.process();
  }
  const LockHolder one(path, FileLock::Kind::shared, wait);
  const LockHolder two(path, FileLock::Kind::shared, wait);
  const std::string error = test::error_of([&] { FileLock(path, FileLock::Kind::exclusive, 0); });
  CHECK(error.find("locked by processes ") != std::string::npos);
  for (const LockHolder* holder : {&one, &two}) {
    CHECK(error.find(std::to_string(holder->process())) != std::string::npos);
  }
  CHECK(error.find(std::to_string(gone)) == std::string::npos);
}

TEST_CASE("file lock: nothing is written, so a full disk locks too") {
  const auto folder = test::scratch();
  const fs::path path = folder.path() / "lock";
  write_file(path, "process 1\n");  // as an older organ left it
  const FileLock lock(path, FileLock::Kind::exclusive);
  CHECK(read_file(path, 100) == "process 1\n");
}
