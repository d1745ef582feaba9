// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "cli/frame/amounts.h"
#include "cli/frame/train_program.h"
#include "cli/organ/commands.h"
#include "format/base/digest.h"
#include "format/base/fail.h"
#include "format/base/json.h"
#include "format/base/path_status.h"
#include "format/base/try_thread.h"
#include "registry/catalog/catalog.h"

namespace organ::cli {
namespace {

// SHA-256 speed of one core over one message in warm memory, GB/s.
double sha256_rate() {
  const std::vector<std::byte> data(std::size_t{32} << 20, std::byte{0x5a});
  const auto start = std::chrono::steady_clock::now();
  (void)sha256(data);
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  return static_cast<double>(data.size()) / elapsed.count() / 1e9;
}

std::string sha_text(const std::optional<bool>& instructions) {
  if (!instructions) return {};
  return *instructions ? "; the processor has SHA instructions"
                       : "; the processor has no SHA instructions";
}

// What organ-train says of itself: as the record, where null is "not built", and as lines.
struct Training {
  nlohmann::json record;
  std::vector<std::string> lines;
  bool broken = false;  // it is there and does not work
};

std::vector<std::string> lines_of(const nlohmann::json& record) {
  const JsonObject facts(record, "organ-train doctor");
  const JsonObject cuda = facts.object("cuda");
  const char* said = cuda.value().value("usable", false) ? "device" : "reason";
  return {fmt::format("training   {}", escape_text(facts.string("library"))),
          matrix_rates(facts.real("gemm_fp32_gflops"), facts.real("gemm_bf16_gflops"),
                       facts.unsigned_integer("threads")),
          fmt::format("cuda       {}", escape_text(cuda.string(said)))};
}

Training ask_training() {
  const auto program = find_train_program();
  if (!program) return {nullptr, {"training   not installed (built without LibTorch)"}};
  Training training;
  try {
    JsonLimits limits;
    limits.reals = true;
    training.record =
        parse_json(output_of(*program, {"doctor", "--json"}), limits, "organ-train doctor");
    training.lines = lines_of(training.record);
    training.record.erase("command");
    training.record.erase("schema_version");
    training.record["usable"] = true;
  } catch (const Error& error) {
    training = {{{"usable", false}, {"reason", error.what()}},
                {std::string("training   ") + error.what(), "           hint: " + error.hint()},
                true};
    if (error.hint().empty()) training.lines.pop_back();
  }
  training.record["program"] = program->string();
  return training;
}

// What doctor says must not end where something is amiss.
std::optional<std::string> registry_folder(const Context& context, std::string& why) {
  try {
    return context.registry_path().string();
  } catch (const Error& error) {
    why = error.message();
    return std::nullopt;
  }
}

std::string registry_text(const std::optional<std::string>& folder, const std::string& why) {
  if (!folder) return escape_text(why);
  const std::filesystem::path whole = absolute_path(*folder).lexically_normal();
  return escape_text(whole.string()) + (is_there(whole) ? "" : "  (not there yet)");
}

void run_doctor(Context& context) {
  const double rate = sha256_rate();
  const std::optional<bool> instructions = has_sha_instructions();
  const Training training = ask_training();
  std::string why_none;
  const auto registry_path = registry_folder(context, why_none);
  if (training.broken) context.worsen(ErrorCode::io);
  if (context.json) {
    context.print_json(
        "doctor",
        {{"version", ORGAN_VERSION},
         {"cores", usable_processors()},
         {"crypto", crypto_library()},
         {"database", registry::database_library()},
         {"sha256_gb_per_s_per_core", rate},
         {"sha_instructions", instructions ? nlohmann::json(*instructions) : nlohmann::json()},
         {"registry", registry_path ? nlohmann::json(*registry_path) : nlohmann::json()},
         {"training", training.record}});
    return;
  }
  context.print(fmt::format("organ      {}", ORGAN_VERSION));
  context.print(fmt::format("cores      {}", usable_processors()));
  context.print(fmt::format("crypto     {}", escape_text(crypto_library())));
  context.print(fmt::format("database   {}", escape_text(registry::database_library())));
  context.print(fmt::format("sha-256    {:.2f} GB/s on one core{}", rate, sha_text(instructions)));
  context.print("registry   " + registry_text(registry_path, why_none));
  for (const std::string& line : training.lines) context.print(line);
}

}  // namespace

void add_doctor(Command& app, Context& context) {
  Command command =
      app.add_command(context, "doctor", "show versions and the facts of this machine that matter",
                      "  organ doctor\n  organ doctor --json");
  command.on_run([&context] { run_doctor(context); });
}

}  // namespace organ::cli
