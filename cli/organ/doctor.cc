// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <thread>
#include <vector>

#include <nlohmann/json.hpp>

#include "cli/frame/train_program.h"
#include "cli/organ/commands.h"
#include "format/base/digest.h"
#include "format/base/fail.h"
#include "format/base/json.h"
#include "registry/catalog/catalog.h"

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

// What organ-train says of itself; null when it was not built.
nlohmann::json training_facts() {
  const auto program = find_train_program();
  if (!program) return nullptr;
  const std::string text = output_of(*program, {"doctor", "--json"});
  JsonLimits limits;
  limits.reals = true;
  nlohmann::json facts = parse_json(text, limits, "organ-train doctor");
  facts.erase("command");
  facts.erase("schema_version");
  facts["program"] = program->string();
  return facts;
}

void run_doctor(const Context& context) {
  const double rate = sha256_rate();
  const nlohmann::json training = training_facts();
  if (context.json) {
    context.print_json("doctor", {{"version", ORGAN_VERSION},
                                  {"cores", std::thread::hardware_concurrency()},
                                  {"crypto", crypto_library()},
                                  {"database", registry::database_library()},
                                  {"sha256_gb_per_s_per_core", rate},
                                  {"registry", context.registry_path().string()},
                                  {"training", training}});
    return;
  }
  context.print(fmt::format("organ      {}", ORGAN_VERSION));
  context.print(fmt::format("cores      {}", std::thread::hardware_concurrency()));
  context.print(fmt::format("crypto     {}", escape_text(crypto_library())));
  context.print(fmt::format("database   {}", escape_text(registry::database_library())));
  context.print(fmt::format("sha-256    {:.2f} GB/s on one core{}", rate,
                            rate < 1.0 ? " (no SHA instructions in use)" : ""));
  context.print(fmt::format("registry   {}", escape_text(context.registry_path().string())));
  if (training.is_null()) {
    context.print("training   not installed (built without LibTorch)");
    return;
  }
  const JsonObject facts(training, "organ-train doctor");
  context.print(fmt::format("training   {}", escape_text(facts.string("library"))));
  context.print(fmt::format("gemm       {:.0f} GFLOP/s fp32, {:.0f} bf16 on {} threads",
                            facts.real("gemm_fp32_gflops"), facts.real("gemm_bf16_gflops"),
                            facts.unsigned_integer("threads")));
  const JsonObject cuda = facts.object("cuda");
  const char* said = cuda.value().at("usable") ? "device" : "reason";
  context.print(fmt::format("cuda       {}", escape_text(cuda.string(said))));
}

}  // namespace

void add_doctor(Command& app, Context& context) {
  Command command =
      app.add_command(context, "doctor", "show versions and the facts of this machine that matter",
                      "  organ doctor\n  organ doctor --json");
  command.on_run([&context] { run_doctor(context); });
}

}  // namespace organ::cli
