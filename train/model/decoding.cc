// SPDX-License-Identifier: Apache-2.0
// One sequence, position by position, from a cache of what ran before.
#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/zeros.h>

#include "format/base/fail.h"
#include "train/model/decode_cache.h"
#include "train/model/internal/model_impl.h"
#include "train/positions/stream_parts.h"

namespace organ::train {

void Model::read_source(const std::vector<std::int64_t>& ids, DecodeCache& cache) {
  const at::AutoDispatchBelowADInplaceOrView no_autograd;
  check(impl_->stacks.size() > 1, "a model without an encoder has no source");
  check(!ids.empty() && cache.length() == 0, "a source is read first, and is not empty");
  Batch batch = one_sequence(ids);
  batch.source = batch.length;
  at::Tensor x = impl_->ends->embedding().forward(batch);
  OpenBatch open(std::move(batch));
  for (std::int64_t i = 0; i < impl_->stacks.back().first; ++i) {
    x = impl_->slot(i).layer->forward(x, impl_->pass(i, open), nullptr);
  }
  cache.source_ = x;
}

at::Tensor Model::decode(const std::vector<std::int64_t>& ids, DecodeCache& cache) {
  const at::AutoDispatchBelowADInplaceOrView no_autograd;
  check(!ids.empty(), "nothing to decode");
  check(impl_->virtual_tokens == 0 || impl_->virtual_left_out, "virtual tokens are not decoded");
  check((impl_->stacks.size() > 1) == cache.source_.defined(), "an encoder's text is not read yet");
  check(cache.whole_, "a sequence whose last positions did not run has no next one");
  cache.whole_ = false;
  cache.ids_.insert(cache.ids_.end(), ids.begin(), ids.end());
  cache.layers_.resize(static_cast<std::size_t>(layer_count()));
  const auto total = static_cast<std::int64_t>(cache.ids_.size());
  const auto fresh = static_cast<std::int64_t>(ids.size());
  // Where every position turns anew, nothing that was kept is of use.
  const bool anew = impl_->rope && impl_->rope->depends_on(total);
  const std::int64_t past = anew ? 0 : total - fresh;
  Batch batch = one_sequence(std::span(cache.ids_).subspan(static_cast<std::size_t>(past)));
  batch.past = past;
  at::Tensor x = impl_->ends->embedding().forward(batch);
  if (cache.source_.defined()) {
    batch.source = cache.source_.size(0);
    batch.length += batch.source;
    batch.ids = at::cat({at::zeros({batch.source}, at::kLong), batch.ids});  // the layers ask none
    x = join_parts(cache.source_, x, batch);
  }
  const std::int64_t length = batch.length;
  OpenBatch open(std::move(batch));
  for (std::int64_t i = impl_->stacks.back().first; i < layer_count(); ++i) {
    const Pass pass = impl_->pass(i, open, &cache.layers_[static_cast<std::size_t>(i)]);
    x = impl_->slot(i).layer->forward(x, pass, nullptr);
  }
  cache.whole_ = true;
  return x.narrow(0, length - fresh, fresh);
}

}  // namespace organ::train
