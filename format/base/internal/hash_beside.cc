// SPDX-License-Identifier: Apache-2.0
// HashBeside of try_thread.h.
#include <utility>

#include "format/base/fail.h"
#include "format/base/try_thread.h"

namespace organ {

HashBeside::HashBeside(unsigned threads) {
  if (threads > 1) thread_ = try_thread([this](const std::stop_token& stop) { work(stop); });
}

HashBeside::~HashBeside() = default;

void HashBeside::work(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  while (changed_.wait(lock, stop, [this] { return hasher_ != nullptr; })) {
    lock.unlock();
    std::exception_ptr failure;
    try {
      hasher_->update(bytes_);
    } catch (...) {
      failure = std::current_exception();
    }
    lock.lock();
    failure_ = failure;
    hasher_ = nullptr;
    changed_.notify_all();
  }
}

void HashBeside::update(Sha256Hasher& hasher, std::span<const std::byte> bytes) {
  if (!thread_) return hasher.update(bytes);
  const std::lock_guard lock(mutex_);
  check(hasher_ == nullptr, "bytes to hash beside were not waited for");
  hasher_ = &hasher;
  bytes_ = bytes;
  changed_.notify_all();
}

void HashBeside::wait() {
  if (!thread_) return;
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return hasher_ == nullptr; });
  if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
}

}  // namespace organ
