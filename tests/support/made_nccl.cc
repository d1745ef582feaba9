// SPDX-License-Identifier: Apache-2.0
// NCCL's few functions that organ calls, for processes that are threads of one program and devices
// whose memory is the host's. Two ranks of one communicator meet in every call.
#include <array>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <mutex>

namespace {

constexpr int kSuccess = 0, kInvalidUsage = 5, kRemoteError = 6;
// tests/support/pretend_device.cc: set in the addresses of its memory.
constexpr std::uintptr_t kMark = std::uintptr_t{1} << 62;

struct Id {
  std::array<char, 128> bytes;
};

struct Meeting {
  std::mutex mutex;
  std::condition_variable changed;
  int joined = 0, arrived = 0, round = 0, size = 0;
  bool broken = false;
  float* first = nullptr;
};

Meeting meeting;

float* readable(void* address) {
  return reinterpret_cast<float*>(reinterpret_cast<std::uintptr_t>(address) & ~kMark);
}

// The one who comes last does the work, while the others wait.
template <typename Work>
int meet(int size, Work work) {
  std::unique_lock lock(meeting.mutex);
  // The other may be gone, and its memory with it.
  if (meeting.broken) return kRemoteError;
  const int round = meeting.round;
  work(meeting.arrived);
  if (++meeting.arrived == size) {
    meeting.arrived = 0;
    ++meeting.round;
    meeting.changed.notify_all();
  }
  meeting.changed.wait(lock, [&] { return meeting.round != round || meeting.broken; });
  return meeting.broken ? kRemoteError : kSuccess;
}

}  // namespace

extern "C" {
int ncclGetVersion(int* version) {
  *version = 22809;
  return kSuccess;
}
int ncclGetUniqueId(Id* id) {
  for (std::size_t i = 0; i < id->bytes.size(); ++i) id->bytes[i] = static_cast<char>(i * 37 + 11);
  return kSuccess;
}
int ncclCommInitRank(void** communicator, int size, Id id, int rank) {
  Id expected{};
  ncclGetUniqueId(&expected);
  if (std::memcmp(&id, &expected, sizeof id) != 0 || rank < 0 || rank >= size) {
    return kInvalidUsage;
  }
  const std::lock_guard lock(meeting.mutex);
  meeting.size = size;
  *communicator = &meeting;
  return kSuccess;
}
// Two ranks: the second adds its numbers to the first's and takes the sums.
int ncclAllReduce(const void* from, void* to, std::size_t count, int type, int operation, void*,
                  void* stream) {
  if (from != to || type != 7 || operation != 0 || stream != nullptr) return kInvalidUsage;
  float* own = readable(to);
  return meet(meeting.size, [&](int before) {
    if (before == 0) {
      meeting.first = own;
      return;
    }
    for (std::size_t i = 0; i < count; ++i) own[i] = meeting.first[i] += own[i];
  });
}
int ncclCommGetAsyncError(void*, int* error) {
  const std::lock_guard lock(meeting.mutex);
  *error = meeting.broken ? kRemoteError : kSuccess;
  return kSuccess;
}
int ncclCommAbort(void*) { return kSuccess; }
const char* ncclGetErrorString(int result) {
  return result == kInvalidUsage ? "invalid usage" : "remote process exited or there was an error";
}
// For tests: from now on the other rank is lost.
void made_nccl_lose_a_rank() {
  const std::lock_guard lock(meeting.mutex);
  meeting.broken = true;
  meeting.changed.notify_all();
}
}
