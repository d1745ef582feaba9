// SPDX-License-Identifier: Apache-2.0
// A program under limits, for LD_PRELOAD. $THREADS_SEEN: a file that is told the most threads that
// ever ran at one time beside the first. $THREADS_MOST: how many the system gives (EAGAIN beyond).
// $HANG_MARK: the first fsync makes this file and never ends, whatever signals are handled.
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>

namespace {

std::mutex mutex;
int running = 0;
int most = 0;

void tell_most() {
  const char* path = std::getenv("THREADS_SEEN");
  std::FILE* file = path == nullptr ? nullptr : std::fopen(path, "w");
  if (file == nullptr) return;
  std::fprintf(file, "%d", most);
  std::fclose(file);
}

bool begin_thread() {
  const std::lock_guard lock(mutex);
  const char* limit = std::getenv("THREADS_MOST");
  if (limit != nullptr && running >= std::strtol(limit, nullptr, 10)) return false;
  if (++running > most) {
    most = running;
    tell_most();
  }
  return true;
}

void end_thread() {
  const std::lock_guard lock(mutex);
  --running;
}

struct Start {
  void* (*function)(void*);
  void* argument;
};

void* run(void* pointer) {
  const std::unique_ptr<Start> start(static_cast<Start*>(pointer));
  void* result = start->function(start->argument);
  end_thread();
  return result;
}

}  // namespace

extern "C" {

int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*function)(void*),
                   void* argument) noexcept {
  if (!begin_thread()) return EAGAIN;
  auto start = std::make_unique<Start>(Start{function, argument});
  const auto next =
      reinterpret_cast<decltype(&::pthread_create)>(::dlsym(RTLD_NEXT, "pthread_create"));
  const int error = next(thread, attributes, run, start.get());
  if (error == 0) {
    (void)start.release();
  } else {
    end_thread();
  }
  return error;
}

int fsync(int fd) {
  if (const char* mark = std::getenv("HANG_MARK")) {
    const int made = ::open(mark, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (made >= 0) ::close(made);
    for (;;) ::pause();
  }
  return reinterpret_cast<decltype(&::fsync)>(::dlsym(RTLD_NEXT, "fsync"))(fd);
}

}  // extern "C"
