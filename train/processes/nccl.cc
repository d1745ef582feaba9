// SPDX-License-Identifier: Apache-2.0
#include "train/processes/nccl.h"

#include <map>
#include <memory>
#include <mutex>
#include <utility>

#include <dlfcn.h>
#include <fmt/core.h>

#include "format/base/fail.h"

namespace organ::train {
namespace {

// nccl.h: ncclInProgress, ncclFloat32, ncclSum.
constexpr int kSuccess = 0, kInProgress = 7, kFloat32 = 7, kSum = 0;

}  // namespace

// As nccl.h declares them, an enum being an int and a communicator or a stream a pointer.
struct Nccl::Functions {
  int (*get_version)(int*);
  int (*get_unique_id)(Id*);
  int (*init_rank)(void**, int size, Id, int rank);
  int (*all_reduce)(const void* from, void* to, std::size_t count, int type, int operation,
                    void* communicator, void* stream);
  int (*async_error)(void* communicator, int* error);
  int (*abort)(void* communicator);
  const char* (*error_text)(int);

  // Never closed: NCCL keeps threads of its own.
  explicit Functions(const char* library) {
    void* handle = ::dlopen(library, RTLD_NOW | RTLD_LOCAL);
    if (handle == nullptr) {
      fail(ErrorCode::device, "nccl: {}", escape_text(::dlerror()));
    }
    const auto find = [&](auto& function, const char* name) {
      void* symbol = ::dlsym(handle, name);
      if (symbol == nullptr) fail(ErrorCode::device, "nccl: {} has no {}", library, name);
      function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(symbol);
    };
    find(get_version, "ncclGetVersion");
    find(get_unique_id, "ncclGetUniqueId");
    find(init_rank, "ncclCommInitRank");
    find(all_reduce, "ncclAllReduce");
    find(async_error, "ncclCommGetAsyncError");
    find(abort, "ncclCommAbort");
    find(error_text, "ncclGetErrorString");
  }

  void require(int result, const char* what) const {
    if (result == kSuccess || result == kInProgress) return;
    fail(ErrorCode::device, "nccl: {}: {}", what, escape_text(error_text(result)));
  }
};

Nccl::Nccl(const char* library) {
  static std::mutex mutex;
  static std::map<std::string, std::unique_ptr<const Functions>> loaded;
  const std::lock_guard lock(mutex);
  auto& functions = loaded[library];
  if (!functions) functions = std::make_unique<const Functions>(library);
  functions_ = functions.get();
}

Nccl::~Nccl() { abort(); }

std::string Nccl::version() const {
  int code = 0;  // 10000 major + 100 minor + patch, since 2.9
  functions_->require(functions_->get_version(&code), "cannot tell its version");
  return fmt::format("{}.{}.{}", code / 10000, code / 100 % 100, code % 100);
}

Nccl::Id Nccl::make_id() const {
  Id id{};
  functions_->require(functions_->get_unique_id(&id), "cannot open a place to meet");
  return id;
}

void Nccl::join(const Id& id, int rank, int size) {
  check(communicator_ == nullptr, "nccl: joined already");
  functions_->require(functions_->init_rank(&communicator_, size, id, rank),
                      "cannot join the other processes");
}

void Nccl::sum(float* numbers, std::size_t count) {
  check(communicator_ != nullptr, "nccl: a sum without other processes");
  functions_->require(functions_->all_reduce(numbers, numbers, count, kFloat32, kSum, communicator_,
                                             /*stream=*/nullptr),
                      "cannot sum");
}

void Nccl::check_progress() const {
  int error = kSuccess;
  functions_->require(functions_->async_error(communicator_, &error), "cannot tell its state");
  functions_->require(error, "lost another process");
}

void Nccl::abort() {
  if (communicator_ != nullptr) functions_->abort(std::exchange(communicator_, nullptr));
}

}  // namespace organ::train
