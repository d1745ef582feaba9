// SPDX-License-Identifier: Apache-2.0
// Installs an organ folder that a known key signed, says what it did, and takes it out again.
//
//   verify_and_install ORGAN_FOLDER PUBLIC_KEY.pem MODEL_FOLDER POSITION
#include <charconv>
#include <cstdint>
#include <exception>
#include <iostream>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include <organ/format/organ/organ_source.h>
#include <organ/format/signature/verification.h>
#include <organ/transplant/install.h>
#include <organ/version.h>

namespace {

// A name that organ's headers must leave to us.
void check(bool condition, const std::string& what) {
  if (!condition) throw std::runtime_error(what);
}

void verify_and_install(const std::string& folder, const std::string& key_file,
                        const std::string& model, std::uint64_t position) {
  const auto key = organ::format::PublicKey::load(key_file);
  organ::format::VerifyOptions options;
  options.keys = {key};
  const auto donated = organ::format::OrganFolder::open(folder);
  const auto verified = organ::format::verify_organ(donated, options);
  for (const auto& finding : verified.findings) {
    throw organ::Error(finding.code, finding.subject + ": " + finding.message);
  }

  organ::transplant::InstallOptions where;
  where.position = position;
  where.source = folder;
  where.trust = {organ::transplant::TrustStatus::verified, verified.signers, {"signed by our key"}};
  const auto installed = organ::transplant::install_organ(donated, model, where);
  std::cout << installed.receipt.organ_name << ' ' << installed.receipt.organ_version
            << " is in layers " << position << " to "
            << position + installed.receipt.layer_count - 1 << '\n';

  const auto undone = organ::transplant::uninstall_organ(model);
  check(undone.changed.empty(), "somebody else changed the model");
  std::cout << undone.proved.size() << " files are what they were\n";
}

// Digits and nothing else.
std::optional<std::uint64_t> whole_number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

int main(int argc, char** argv) {
  const auto position = argc == 5 ? whole_number(argv[4]) : std::nullopt;
  if (!position) {
    std::cerr << "verify_and_install ORGAN_FOLDER PUBLIC_KEY.pem MODEL_FOLDER POSITION (organ "
              << organ::library_version() << ")\n";
    return 2;
  }
  try {
    verify_and_install(argv[1], argv[2], argv[3], *position);
    return 0;
  } catch (const organ::Error& error) {
    std::cerr << error.what() << '\n' << error.hint() << '\n';
    return organ::exit_code(error.code());
  } catch (const std::exception& error) {  // memory that is not there, and what is our own
    std::cerr << error.what() << '\n';
    return 1;
  }
}
