// SPDX-License-Identifier: Apache-2.0
#include "train/layers/key_values.h"

#include <algorithm>

#include "format/base/fail.h"

namespace organ::train {
namespace {

constexpr std::int64_t kFirstRoom = 256;

void append(at::Tensor& kept, at::Tensor& fresh, std::int64_t past) {
  const std::int64_t count = fresh.size(1), room = kept.defined() ? kept.size(1) : 0;
  check(past <= room, "a cache lacks the positions before these");
  if (room < past + count) {
    const at::Tensor larger = kernels::empty(
        {fresh.size(0), std::max({kFirstRoom, 2 * room, past + count}), fresh.size(2)},
        fresh.scalar_type(), fresh.device());
    if (past > 0) larger.narrow(1, 0, past).copy_(kept.narrow(1, 0, past));
    kept = larger;
  }
  kept.narrow(1, past, count).copy_(fresh);
  fresh = kept.narrow(1, 0, past + count);
}

}  // namespace

void KeyValues::extend(kernels::Heads& heads, std::int64_t past) {
  append(key_, heads.key, past);
  append(value_, heads.value, past);
}

const at::Tensor& KeyValues::of_source(const std::function<at::Tensor()>& make) {
  if (!of_source_.defined()) of_source_ = make();
  return of_source_;
}

}  // namespace organ::train
