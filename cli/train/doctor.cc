// SPDX-License-Identifier: Apache-2.0
// The half of `organ doctor` that needs LibTorch.
#include <nlohmann/json.hpp>

#include "cli/frame/amounts.h"
#include "cli/train/commands.h"
#include "format/base/fail.h"
#include "train/machine/device.h"
#include "train/machine/gemm_rate.h"

namespace organ::cli {
namespace {

// Of the first CUDA device, or why there is none.
nlohmann::json cuda_facts() {
  const train::Device device{train::Device::Kind::cuda};
  try {
    train::prepare_device(device);
    return {{"usable", true}, {"device", train::describe_device(device)}};
  } catch (const Error& error) {
    if (error.code() != ErrorCode::device) throw;
    std::string_view reason = error.what();  // stands beside the name of the device
    if (const std::string_view name = "cuda: "; reason.starts_with(name)) {
      reason.remove_prefix(name.size());
    }
    return {{"usable", false}, {"reason", reason}};
  }
}

void run_train_doctor(const Context& context) {
  const nlohmann::json cuda = cuda_facts();
  const std::string library = train::tensor_library();
  const double fp32 = train::measure_gemm_rate(train::Precision::fp32);
  const double bf16 = train::measure_gemm_rate(train::Precision::bf16);
  if (context.json) {
    context.print_json("doctor", {{"library", library},
                                  {"threads", train::thread_count()},
                                  {"gemm_fp32_gflops", fp32},
                                  {"gemm_bf16_gflops", bf16},
                                  {"cuda", cuda}});
    return;
  }
  context.print(fmt::format("tensors    {}", escape_text(library)));
  context.print(matrix_rates(fp32, bf16, static_cast<unsigned>(train::thread_count())) +
                (fp32 < train::kSlowGemmRate ? " (slow: no tuned BLAS in use)" : ""));
  context.print("cuda       " + (cuda.at("usable") ? cuda.at("device").get<std::string>()
                                                   : cuda.at("reason").get<std::string>()));
}

}  // namespace

void add_train_doctor(Command& app, Context& context) {
  Command command =
      app.add_command(context, "doctor", "show what the tensor library can do on this machine",
                      "  organ-train doctor\n  organ-train doctor --json");
  command.on_run([&context] { run_train_doctor(context); });
}

}  // namespace organ::cli
