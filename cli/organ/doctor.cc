// SPDX-License-Identifier: Apache-2.0
#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__)
#include <sys/auxv.h>
#endif

#include <chrono>
#include <optional>
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

// Whether the processor says that it has instructions for SHA-256; nullopt where it is not asked.
std::optional<bool> has_sha_instructions() {
#if defined(__x86_64__)
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (b >> 29 & 1) != 0;
#elif defined(__aarch64__)
  constexpr unsigned long kSha2 = 1ul << 6;  // HWCAP_SHA2
  return (::getauxval(AT_HWCAP) & kSha2) != 0;
#else
  return std::nullopt;
#endif
}

std::string sha_text(const std::optional<bool>& instructions) {
  if (!instructions) return {};
  return *instructions ? "; the processor has SHA instructions"
                       : "; the processor has no SHA instructions";
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
  const std::optional<bool> instructions = has_sha_instructions();
  const nlohmann::json training = training_facts();
  if (context.json) {
    context.print_json("doctor", {{"version", ORGAN_VERSION},
                                  {"cores", std::thread::hardware_concurrency()},
                                  {"crypto", crypto_library()},
                                  {"database", registry::database_library()},
                                  {"sha256_gb_per_s_per_core", rate},
                                  {"sha_instructions",
                                   instructions ? nlohmann::json(*instructions) : nlohmann::json()},
                                  {"registry", context.registry_path().string()},
                                  {"training", training}});
    return;
  }
  context.print(fmt::format("organ      {}", ORGAN_VERSION));
  context.print(fmt::format("cores      {}", std::thread::hardware_concurrency()));
  context.print(fmt::format("crypto     {}", escape_text(crypto_library())));
  context.print(fmt::format("database   {}", escape_text(registry::database_library())));
  context.print(fmt::format("sha-256    {:.2f} GB/s on one core{}", rate, sha_text(instructions)));
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
