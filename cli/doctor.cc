// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <thread>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "format/base/digest.h"

namespace organ::cli {
namespace {

// SHA-256 speed of one core over warm memory, GB/s: what bounds `verify`.
double sha256_rate() {
  const std::vector<std::byte> data(std::size_t{32} << 20, std::byte{0x5a});
  const auto start = std::chrono::steady_clock::now();
  (void)sha256(data);
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  return static_cast<double>(data.size()) / elapsed.count() / 1e9;
}

void run_doctor(const Context& context) {
  const double rate = sha256_rate();
  const std::string crypto = crypto_library();
  const auto train = find_train_program();
  if (context.json) {
    context.print_json(
        "doctor", {{"version", ORGAN_VERSION},
                   {"cores", std::thread::hardware_concurrency()},
                   {"crypto", crypto},
                   {"sha256_gb_per_s_per_core", rate},
                   {"registry", context.registry_path().string()},
                   {"organ_train", train ? nlohmann::json(train->string()) : nlohmann::json()}});
    return;
  }
  context.print(fmt::format("organ      {}", ORGAN_VERSION));
  context.print(fmt::format("cores      {}", std::thread::hardware_concurrency()));
  context.print(fmt::format("crypto     {}", escape_text(crypto)));
  context.print(fmt::format("sha-256    {:.2f} GB/s on one core{}", rate,
                            rate < 1.0 ? " (no SHA instructions in use)" : ""));
  context.print(fmt::format("registry   {}", escape_text(context.registry_path().string())));
  context.print(fmt::format("training   {}", train ? escape_text(train->string())
                                                   : "not installed (built without LibTorch)"));
}

}  // namespace

void add_doctor(CLI::App& app, Context& context) {
  CLI::App* command =
      add_command(app, context, "doctor", "show versions and the facts of this machine that matter",
                  "  organ doctor\n  organ doctor --json");
  on_run(command, [&context] { run_doctor(context); });
}

}  // namespace organ::cli
