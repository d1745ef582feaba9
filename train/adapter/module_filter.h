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

// A regular expression over module names, in the syntax of Python's re; thread-safe after
// construction. Names are ASCII without line feeds. `subject` is what errors name, here as below; a
// pattern of more than 4096 bytes throws corrupt.
class NamePattern {
 public:
  // Throws incompatible for a construct that is not known to mean the same to Python and to us.
  static NamePattern whole_name(std::string_view regex, std::string_view subject);
  // The keys of rank_pattern and alpha_pattern: the whole name or what follows one of its dots.
  static NamePattern suffix(std::string_view regex, std::string_view subject);
  // Throws invalid_argument when the regex gives up on the name (PCRE2's match limit).
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
  // The number behind the first match in `module`: 3 of model.layers.3.mlp for "layers". The match
  // begins at the start of the name or behind one of its dots, and a dot stands on either side of
  // the number. nullopt: no match, or a number beyond 64 bits.
  std::optional<std::uint64_t> number_in(std::string_view module) const;

 private:
  explicit NumberPattern(Pattern pattern)
      : pattern_(std::make_unique<const Pattern>(std::move(pattern))) {}
  std::unique_ptr<const Pattern> pattern_;
};

// target_modules, exclude_modules or feedforward_modules. Module names are whole ones, as PEFT has
// them (peft_layer_name, a dot, the name in the layer). As made by default it names nothing.
class ModuleFilter {
 public:
  // A list of names matches a module of that name or one that ends with a dot and the name;
  // feedforward_modules match any ending (`dotted` false). A string is "all-linear" or a regular
  // expression for the whole name. null is an empty list. Throws corrupt, incompatible.
  static ModuleFilter parse(const nlohmann::json& value, bool dotted, const std::string& subject);
  // The same of a list of names; nothing is checked.
  static ModuleFilter of_names(std::vector<std::string> names, bool dotted);

  // The word "all-linear", in letters of any case; which modules these are the caller knows.
  bool all_linear() const { return all_linear_; }
  bool empty() const { return !all_linear_ && !pattern_ && names_.empty(); }
  // False where all_linear(): ask that first. Throws as NamePattern::matches.
  bool matches(std::string_view module) const;
  // It is in the list by its whole name; of a regular expression never.
  bool lists(std::string_view module) const;

 private:
  std::vector<std::string> names_;
  std::optional<NamePattern> pattern_;
  bool all_linear_ = false;
  bool dotted_ = true;
};

}  // namespace organ::train
