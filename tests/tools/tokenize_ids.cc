// SPDX-License-Identifier: Apache-2.0
// Reads records from standard input, writes what the tokenizer makes of them, for comparisons with
// other tokenizers.
//   tokenize_ids encode TOKENIZER [special]   NUL-ended texts -> one line of ids each
//   tokenize_ids decode TOKENIZER [skip]      lines of ids    -> NUL-ended texts
//   tokenize_ids names  TOKENIZER             -> ids of bos, eos, unk, pad, "none" where there is
//   none tokenize_ids time   TOKENIZER             one text        -> seconds of the best of 3
//   encodes
#include <chrono>
#include <cstdio>
#include <iostream>
#include <iterator>
#include <sstream>
#include <string>

#include "format/base/error.h"
#include "train/tokenizer/tokenizer.h"

namespace {

using organ::train::Tokenizer;

void encode(const Tokenizer& tokenizer, bool special) {
  for (std::string text; std::getline(std::cin, text, '\0');) {
    std::string line;
    for (const auto id : tokenizer.encode(text, special)) {
      if (!line.empty()) line += ' ';
      line += std::to_string(id);
    }
    std::cout << line << '\n';
  }
}

void decode(const Tokenizer& tokenizer, bool skip_special) {
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream numbers(line);
    const std::vector<std::int32_t> ids{std::istream_iterator<std::int32_t>(numbers), {}};
    std::cout << tokenizer.decode(ids, skip_special) << '\0';
  }
}

void print_names(const Tokenizer& tokenizer) {
  for (const auto& id : {tokenizer.bos(), tokenizer.eos(), tokenizer.unk(), tokenizer.pad()}) {
    std::cout << (id ? std::to_string(*id) : "none") << '\n';
  }
}

void time_encode(const Tokenizer& tokenizer) {
  const std::string text{std::istreambuf_iterator<char>(std::cin), {}};
  double best = 1e9;
  std::size_t count = 0;
  for (int round = 0; round < 3; ++round) {
    const auto start = std::chrono::steady_clock::now();
    count = tokenizer.encode(text, false).size();
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    best = std::min(best, seconds.count());
  }
  std::cout << best << ' ' << count << '\n';
}

}  // namespace

int main(int argc, char** argv) {
  std::ios::sync_with_stdio(false);
  if (argc < 3) {
    std::cerr << "usage: tokenize_ids encode|decode|names|time TOKENIZER [special|skip]\n";
    return 2;
  }
  try {
    const std::string action = argv[1];
    const Tokenizer tokenizer = Tokenizer::open(argv[2]);
    if (action == "encode") encode(tokenizer, argc > 3);
    if (action == "decode") decode(tokenizer, argc > 3);
    if (action == "names") print_names(tokenizer);
    if (action == "time") time_encode(tokenizer);
  } catch (const organ::Error& error) {
    std::cerr << "tokenize_ids: " << error.what() << '\n';
    return organ::exit_code(error.code());
  }
}
