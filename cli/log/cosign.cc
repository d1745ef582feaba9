// SPDX-License-Identifier: Apache-2.0
// `organ log cosign`: a witness vouches for a log's newest state.
#include <nlohmann/json.hpp>

#include "cli/frame/long_work.h"
#include "cli/log/commands.h"
#include "cli/log/signing_key.h"
#include "cli/registry/care_output.h"
#include "format/base/fail.h"
#include "format/base/file.h"
#include "registry/history/cosign.h"
#include "registry/log/moment.h"
#include "registry/notes/note.h"

namespace organ::cli {
namespace {

struct LogCosignArguments {
  std::filesystem::path folder, key, out, add;
  PassphraseOptions passphrase;
};

void run_add(Context& context, const LogCosignArguments& arguments) {
  const std::string note = read_file(arguments.add, registry::kNoteLimit);
  const std::filesystem::path folder = registry_folder(context, arguments.folder);
  const auto by = completed(context, "the cosignature is in the registry",
                            [&] { return registry::keep_cosignature(folder, note); });
  if (context.json) {
    context.print_json("log cosign", {{"witnesses", by}});
    return;
  }
  for (const std::string& witness : by) context.confirm("cosigned by " + escape_text(witness));
}

void run_cosign(Context& context, const LogCosignArguments& arguments) {
  if (!arguments.out.empty()) require_folder_above(arguments.out);
  const std::filesystem::path folder = registry_folder(context, arguments.folder);
  const registry::OpenOptions options{.known_registries = context.known_registries(),
                                      .log_key = {}};
  const registry::MetLog met = registry::meet_as_witness(folder, options);
  for (const std::string& note : met.notes) context.note(escape_text(note, 4096));
  const SigningKey key = load_signing_key(arguments.key, registry::NoteKeyType::cosigner,
                                          met.witnesses, arguments.passphrase);
  const auto made = completed(context, "the checkpoint is cosigned", [&] {
    auto cosigned = registry::cosign(folder, options, key.signer, key.name());
    if (arguments.out.empty()) {
      registry::keep_cosignature(folder, cosigned.note);
    } else {
      write_file(arguments.out, cosigned.note, AtomicFile::Mode::create_new);
    }
    return cosigned;
  });
  const std::string time = registry::moment_text(made.time);
  if (context.json) {
    context.print_json("log cosign", {{"witnesses", nlohmann::json::array({key.verifier_key})},
                                      {"entries", made.entries},
                                      {"time", time}});
    return;
  }
  context.confirm(fmt::format("cosigned {} at {} as {}", counted(made.entries, "entry"), time,
                              escape_text(key.name())));
}

void run(Context& context, const LogCosignArguments& arguments) {
  if (arguments.add.empty() == arguments.key.empty() ||
      (!arguments.add.empty() && !arguments.out.empty())) {
    throw Error(ErrorCode::invalid_argument, "expected either --key KEY or --add FILE",
                "organ log cosign ./store --key w1.key");
  }
  if (arguments.add.empty()) {
    run_cosign(context, arguments);
  } else {
    run_add(context, arguments);
  }
}

}  // namespace

void add_log_cosign(Command& log, Context& context) {
  Command command = log.add_command(
      context, "cosign", "vouch as a witness that the log goes on from what you saw last",
      "  organ log cosign ./store --key w1.key\n"
      "  organ log cosign ./store --key w1.key --out w1.note\n"
      "  organ log cosign --add w1.note");
  auto arguments = std::make_shared<LogCosignArguments>();
  add_registry_argument(command, arguments->folder);
  command.add_path("--key", arguments->key, "private key of the witness").value_name("KEY");
  add_passphrase_options(command, arguments->passphrase);
  command
      .add_path("--out", arguments->out,
                "write the cosigned checkpoint into a new file, not into the registry")
      .value_name("FILE");
  command.add_path("--add", arguments->add, "put such a file into the registry").value_name("FILE");
  command.on_run([&context, arguments] { run(context, *arguments); });
}

}  // namespace organ::cli
