// SPDX-License-Identifier: Apache-2.0
#include "train/data/hold_out.h"

#include <algorithm>

#include <fmt/core.h>
#include "format/base/fail.h"
#include "format/base/file.h"
#include "train/data/token_stream.h"

namespace organ::train {

namespace {

struct RankedFile {
  std::filesystem::path path;
  std::uint64_t size;
  Digest rank;
};

RankedFile rank_file(const std::filesystem::path& path, std::uint64_t seed) {
  const UniqueFd fd = open_regular(path);
  const std::string subject = path.string();
  const Digest contents = hash_file_flat(fd.get(), subject);
  return {path, file_size(fd.get(), subject),
          sha256(fmt::format("{} {}", seed, contents.to_string()))};
}

}  // namespace

HoldOut hold_out_files(const std::vector<std::filesystem::path>& files, double share,
                       std::uint64_t seed) {
  if (files.size() < 2) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("--held-out-share: needs at least 2 data files, got {}", files.size()),
                "name files with --held-out, or train without");
  }
  std::vector<RankedFile> ranked;
  ranked.reserve(files.size());
  for (const auto& path : files) ranked.push_back(rank_file(path, seed));
  std::sort(ranked.begin(), ranked.end(),
            [](const RankedFile& a, const RankedFile& b) { return a.rank < b.rank; });
  double total = 0;
  for (const auto& file : ranked) total += static_cast<double>(file.size);
  HoldOut result;
  double taken = 0;
  for (std::size_t i = 0; i < ranked.size(); ++i) {
    const bool hold = i + 1 < ranked.size() && (i == 0 || taken < share * total);
    if (hold) taken += static_cast<double>(ranked[i].size);
    (hold ? result.held_out : result.training).push_back(ranked[i].path);
  }
  std::sort(result.training.begin(), result.training.end());
  std::sort(result.held_out.begin(), result.held_out.end());
  return result;
}

void check_disjoint(const TokenStream& training, const TokenStream& held_out) {
  for (const auto& file : held_out.files()) {
    for (const auto& other : training.files()) {
      if (file.digest != other.digest) continue;
      fail(ErrorCode::invalid_argument,
           "held-out file {}: has the same contents as the training file {}", quote(file.name),
           quote(other.name));
    }
  }
}

}  // namespace organ::train
