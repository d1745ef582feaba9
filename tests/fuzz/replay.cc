// SPDX-License-Identifier: Apache-2.0
// The main of a fuzz target without libFuzzer, so that targets and seeds cannot rot in builds that
// have none:
//
//   replay_TARGET COUNT FOLDER...
//
// runs the target over every file of these folders, then over COUNT mutations of them, the same
// ones every time. An input that ends it is named, and written to crash-TARGET in the current
// folder.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "tests/fuzz/target.h"

namespace {

namespace fs = std::filesystem;

constexpr std::string_view kWords[] = {"null",
                                       "true",
                                       "-1",
                                       "0",
                                       "1",
                                       "18446744073709551615",
                                       "9223372036854775807",
                                       "4294967296",
                                       "1e400",
                                       "0.5",
                                       "{}",
                                       "[]",
                                       "\"\"",
                                       "\"",
                                       "\\u0000",
                                       "\\ud800",
                                       "\n",
                                       ",",
                                       "../",
                                       "/",
                                       ".",
                                       "\xC3\xA9",
                                       "\xFF",
                                       std::string_view("\0", 1)};

std::string crash_file;
const std::string* current = nullptr;

// Only what a signal handler may do.
void keep_input(int signal) {
  const int fd = ::open(crash_file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd >= 0 && current != nullptr) {
    [[maybe_unused]] const auto written = ::write(fd, current->data(), current->size());
  }
  std::signal(signal, SIG_DFL);
  ::raise(signal);
}

void run(const std::string& input) {
  current = &input;
  LLVMFuzzerTestOneInput(reinterpret_cast<const unsigned char*>(input.data()), input.size());
  current = nullptr;
}

class Mutator {
 public:
  explicit Mutator(const std::vector<std::string>& seeds) : seeds_(seeds) {}

  std::string next() {
    std::string input = seeds_[below(seeds_.size())];
    for (std::size_t steps = 1 + below(4); steps > 0; --steps) change(input);
    return input;
  }

 private:
  // Not a distribution of the library's: those differ from one to the next.
  std::size_t below(std::size_t bound) { return bound == 0 ? 0 : random_() % bound; }

  void change(std::string& input) {
    const std::size_t at = below(input.size());
    const std::size_t length = std::min(below(24), input.size() - at);
    const std::string& other = seeds_[below(seeds_.size())];
    switch (below(8)) {
      case 0: flip(input, at); break;
      case 1: input.erase(at, length); break;
      case 2: input.insert(at, input.substr(at, length)); break;
      case 3: input.insert(at, kWords[below(std::size(kWords))]); break;
      case 4: input.replace(at, length, kWords[below(std::size(kWords))]); break;
      case 5: input.resize(at); break;
      case 6: input.replace(at, length, other.substr(below(other.size()), length)); break;
      default: replace_number(input, at);
    }
  }

  void flip(std::string& input, std::size_t at) {
    if (at < input.size()) input[at] = static_cast<char>(input[at] ^ (1 << below(8)));
  }

  void replace_number(std::string& input, std::size_t at) {
    const std::size_t begin = input.find_first_of("0123456789", at);
    if (begin == std::string::npos) return;
    const std::size_t end = std::min(input.find_first_not_of("0123456789", begin), input.size());
    input.replace(begin, end - begin, kWords[2 + below(8)]);
  }

  const std::vector<std::string>& seeds_;
  std::mt19937_64 random_{1};
};

std::vector<std::string> read_all(int count, char** folders) {
  std::vector<fs::path> paths;
  for (int i = 0; i < count; ++i) {
    for (const auto& entry : fs::directory_iterator(folders[i])) paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  std::vector<std::string> texts;
  for (const fs::path& path : paths) {
    std::ifstream file(path, std::ios::binary);
    texts.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  return texts;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: replay_TARGET COUNT FOLDER...\n");
    return 2;
  }
  const std::vector<std::string> seeds = read_all(argc - 2, argv + 2);
  organ::fuzz::demand(!seeds.empty(), "there are seeds");
  crash_file = "crash-" + fs::path(argv[0]).filename().string();
  std::signal(SIGABRT, keep_input);
  std::signal(SIGSEGV, keep_input);
  for (const std::string& seed : seeds) run(seed);
  const std::size_t sound = organ::fuzz::accepted;
  organ::fuzz::demand(sound > 0, "a parser takes some of its seeds");
  Mutator mutator(seeds);
  const int count = std::stoi(argv[1]);
  for (int i = 0; i < count; ++i) run(mutator.next());
  std::printf("%zu seeds (%zu readings took them), %d mutations (%zu)\n", seeds.size(), sound,
              count, organ::fuzz::accepted - sound);
  return 0;
}
