// SPDX-License-Identifier: Apache-2.0
#include <optional>
#include <utility>

#include <nlohmann/json.hpp>

#include "cli/frame/long_work.h"
#include "cli/frame/parse_option.h"
#include "cli/frame/passphrase.h"
#include "cli/organ/commands.h"
#include "cli/organ/organ_argument.h"
#include "cli/output/compatibility.h"
#include "cli/registry/open_registry.h"
#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/base/path_status.h"
#include "format/signature/attestation.h"
#include "registry/oci/oci.h"
#include "transplant/journal.h"

namespace organ::cli {
namespace {

using format::AttestationType;

struct AttestArguments {
  std::string organ;
  std::optional<AttestationType> type;
  std::filesystem::path key;
  PassphraseOptions passphrase;
  std::filesystem::path from, attach, out;
  std::string recipient;
  std::optional<std::uint64_t> position;
};

// What was made, and where it went.
struct Made {
  OrganArgument organ;
  Digest identity;
  std::string bundle;
  std::optional<registry::AttestResult> attached = {};
  std::filesystem::path file = {};
};

AttestationType type_of(const AttestArguments& arguments) {
  if (arguments.type) return *arguments.type;
  throw Error(ErrorCode::invalid_argument, "--type: what is to be attested is not said",
              "evaluation, compatibility or training");
}

// What `organ check` finds, and of which recipient.
JsonText checked_fit(const AttestArguments& arguments, const OrganArgument& organ,
                     const Work& work) {
  transplant::require_settled(arguments.recipient);
  const format::Manifest& manifest = organ.organ->manifest();
  const auto recipient = format::Checkpoint::open(arguments.recipient, manifest.stack());
  const std::uint64_t position = arguments.position.value_or(manifest.extraction.first_layer);
  nlohmann::json predicate =
      to_json(transplant::check_compatibility(manifest, recipient, position, work));
  const auto folder = real_path(arguments.recipient);
  predicate["recipient"] = {{"name", escape_text(folder.filename().string())},
                            {"config_digest", recipient.config_digest().to_string()}};
  return format::parse_predicate(AttestationType::compatibility, predicate.dump(), "the verdict");
}

JsonText predicate_of(const AttestArguments& arguments, AttestationType type,
                      const OrganArgument& organ, const Work& work) {
  const bool of_fit = type == AttestationType::compatibility;
  if (!arguments.recipient.empty() && (!of_fit || !arguments.from.empty())) {
    throw Error(ErrorCode::invalid_argument,
                "--recipient: is for an attestation of compatibility, in place of --from");
  }
  if (arguments.position && arguments.recipient.empty()) {
    throw Error(ErrorCode::invalid_argument, "--at: says where in a recipient; none is given",
                "--recipient MODEL names it");
  }
  if (!arguments.recipient.empty()) return checked_fit(arguments, organ, work);
  if (arguments.from.empty()) return format::recorded_predicate(type, organ.organ->manifest());
  return format::parse_predicate(type, read_file(arguments.from, format::kAttestationLimit),
                                 quote(arguments.from.string()));
}

// A published version has an identity; a folder will have the one that it is published under.
Digest identity_of(const OrganArgument& organ) {
  if (organ.version) return organ.version->digest;
  return registry::identities(organ.organ->manifest(), organ.organ->manifest_text()).front();
}

std::filesystem::path file_of(const AttestArguments& arguments, const OrganArgument& organ) {
  if (!arguments.out.empty() || organ.version) return arguments.out;
  const auto folder = real_path(arguments.organ);
  return fmt::format("{}.{}.sigstore.json", folder.string(), to_string(type_of(arguments)));
}

// Asked for before the long work begins: the passphrase may be typed.
format::SecretKey load_key(const AttestArguments& arguments) {
  if (arguments.key.empty()) {
    throw Error(ErrorCode::invalid_argument, "--key: nobody states it",
                "--key KEY signs it; --attach FILE takes a bundle that is signed already");
  }
  return format::SecretKey::load_with(arguments.key, passphrase_source(arguments.passphrase));
}

void take_bundle(const AttestArguments& arguments, Made& made) {
  const bool says_more = !arguments.out.empty() || !arguments.key.empty() ||
                         arguments.type.has_value() || !arguments.from.empty() ||
                         !arguments.recipient.empty() || arguments.position;
  if (!made.organ.version || says_more) {
    throw Error(ErrorCode::invalid_argument,
                "--attach: takes a signed bundle into the registry, for a published version",
                "organ attest NAME:VERSION --attach FILE");
  }
  made.bundle = read_file(arguments.attach, format::kAttestationLimit);
}

void store(Context& context, Made& made) {
  const format::Reference exact{made.organ.version->name, made.identity};
  change_registry(context, "the attestation is in the registry",
                  [&](registry::Registry& registry, const Work& work) {
                    made.attached = registry.attest(registry.resolve(exact), made.bundle, work);
                  });
}

void report(const Context& context, const Made& made) {
  const format::Attestation statement = format::read_attestation(made.bundle, "attestation");
  if (context.json) {
    nlohmann::json record = {{"organ", escape_text(statement.organ)},
                             {"digest", made.identity.to_string()},
                             {"type", to_string(statement.type)},
                             {"key_id", statement.key.hex()},
                             {"file", nullptr},
                             {"log_index", nullptr},
                             {"already_attached", nullptr}};
    if (made.attached) {
      record["already_attached"] = made.attached->already_attached;
      if (!made.attached->already_attached) record["log_index"] = made.attached->log_index;
    } else {
      record["file"] = escape_text(made.file.string());
    }
    context.print_json("attest", std::move(record));
    return;
  }
  context.confirm(fmt::format("{} of {}  {}", to_string(statement.type),
                              escape_text(statement.organ), made.identity.to_string()));
  if (!made.attached) context.confirm("written " + escape_text(made.file.string()));
  if (made.attached && made.attached->already_attached) {
    context.note("the same was attached before");
  }
  context.confirm("key id  " + statement.key.hex());
}

Made open(const Context& context, const AttestArguments& arguments, const Work& work) {
  Made made{.organ = open_organ(context, arguments.organ, work), .identity = {}, .bundle = {}};
  made.identity = identity_of(made.organ);
  return made;
}

Made make_signed(const Context& context, const AttestArguments& arguments) {
  const AttestationType type = type_of(arguments);
  if (!arguments.out.empty()) require_folder_above(arguments.out);
  const format::SecretKey key = load_key(arguments);
  return watched(context, 0, [&](const Work& work) {
    Made made = open(context, arguments, work);
    const JsonText predicate = predicate_of(arguments, type, made.organ, work);
    made.bundle =
        format::sign_attestation(type, made.organ.organ->manifest(), made.identity, predicate, key);
    return made;
  });
}

Made make_given(const Context& context, const AttestArguments& arguments) {
  return watched(context, 0, [&](const Work& work) {
    Made made = open(context, arguments, work);
    take_bundle(arguments, made);
    return made;
  });
}

void run(Context& context, const AttestArguments& arguments) {
  Made made =
      arguments.attach.empty() ? make_signed(context, arguments) : make_given(context, arguments);
  made.file = file_of(arguments, made.organ);
  if (made.file.empty()) {
    store(context, made);
  } else {
    if (!made.organ.version) require_outside(made.file, arguments.organ);
    write_file(made.file, made.bundle, AtomicFile::Mode::create_new);
    context.set_done("the attestation is written");
  }
  report(context, made);
}

}  // namespace

void add_attest(Command& app, Context& context) {
  Command command = app.add_command(
      context, "attest", "state something of an organ and sign it: figures, a fit, its training",
      "  organ attest ./legal-1.0.0 --type evaluation --key lab.key\n"
      "  organ attest legal --type evaluation --key lab.key --from figures.json\n"
      "  organ attest legal --type compatibility --key lab.key --recipient Llama\n"
      "  organ attest legal:1.0.0 --attach legal.evaluation.sigstore.json");
  auto arguments = std::make_shared<AttestArguments>();
  command.add_path("REF|DIR", arguments->organ, "a published version or an organ folder")
      .required();
  add_option_of_names(command, "--type", "evaluation|compatibility|training", "", "what is stated",
                      [arguments](const std::string& text, const std::string& expected) {
                        arguments->type =
                            parsed(format::parse_attestation_type(text), "--type", text, expected);
                      });
  command.add_path("--key", arguments->key, "private key of who states it (PEM, ECDSA)")
      .value_name("FILE");
  add_passphrase_options(command, arguments->passphrase);
  command
      .add_path("--from", arguments->from,
                "what to state, as JSON [default: what organ.json records]")
      .value_name("FILE");
  command
      .add_path("--recipient", arguments->recipient,
                "state whether it fits this checkpoint folder, as organ check finds it")
      .value_name("MODEL");
  command
      .add_option("--at", arguments->position,
                  "first recipient layer to replace [default: where the organ comes from]")
      .value_name("P");
  command
      .add_path("--out", arguments->out,
                "write the bundle into this new file [default: into the registry, for a folder "
                "beside it]")
      .value_name("FILE");
  command.add_path("--attach", arguments->attach, "attach this bundle, which is signed already")
      .value_name("FILE");
  command.on_run([&context, arguments] { run(context, *arguments); });
}

}  // namespace organ::cli
