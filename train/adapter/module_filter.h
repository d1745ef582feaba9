// SPDX-License-Identifier: Apache-2.0
// Which modules of a model an adapter's configuration names, by PEFT's rules (0.21,
// tuners_utils.check_target_module_exists and utils.other.get_pattern_key).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "train/tokenizer/text/regex.h"

namespace organ::train {

// A regular expression over module names; thread-safe after construction.
class NamePattern {
 public:
  // Throws incompatible for a construct that is not known to mean the same to Python and to us.
  static NamePattern whole_name(std::string_view regex, std::string_view subject);
  // The keys of rank_pattern and alpha_pattern: the whole name or what follows one of its dots.
  static NamePattern suffix(std::string_view regex, std::string_view subject);
  bool matches(std::string_view name) const;

 private:
  explicit NamePattern(Pattern pattern)
      : pattern_(std::make_unique<const Pattern>(std::move(pattern))) {}
  std::unique_ptr<const Pattern> pattern_;
};

// A regular expression over the start of a module's name, up to a number: layers_pattern.
class NumberPattern {
 public:
  // Throws incompatible, also for alternatives, which PEFT would take apart.
  static NumberPattern parse(std::string_view regex, std::string_view subject);
  // The number behind the first match in `module`: 3 of model.layers.3.mlp for "layers".
  std::optional<std::uint64_t> number_in(std::string_view module) const;

 private:
  explicit NumberPattern(Pattern pattern)
      : pattern_(std::make_unique<const Pattern>(std::move(pattern))) {}
  std::unique_ptr<const Pattern> pattern_;
};

// target_modules, exclude_modules or feedforward_modules.
class ModuleFilter {
 public:
  // A list of names matches a module of that name or one that ends with a dot and the name;
  // feedforward_modules match any ending (`dotted` false). A string is "all-linear" or a regular
  // expression for the whole name. null is an empty list. Throws corrupt, incompatible.
  static ModuleFilter parse(const nlohmann::json& value, bool dotted, const std::string& subject);
  static ModuleFilter of_names(std::vector<std::string> names, bool dotted);

  bool all_linear() const { return all_linear_; }
  bool empty() const { return !all_linear_ && !pattern_ && names_.empty(); }
  bool matches(std::string_view module) const;
  // It is in the list by its whole name.
  bool lists(std::string_view module) const;

 private:
  std::vector<std::string> names_;
  std::optional<NamePattern> pattern_;
  bool all_linear_ = false;
  bool dotted_ = true;
};

}  // namespace organ::train
