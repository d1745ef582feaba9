// SPDX-License-Identifier: Apache-2.0
#include "train/adapter/module_filter.h"

#include <algorithm>
#include <charconv>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "format/base/fail.h"
#include "format/base/json.h"

namespace organ::train {
namespace {

constexpr std::string_view kAllLinear = "all-linear";
constexpr std::size_t kMaxPattern = 4096;  // bytes

bool equal_ignoring_case(std::string_view a, std::string_view lower) {
  return std::equal(a.begin(), a.end(), lower.begin(), lower.end(), [](char x, char y) {
    return (x >= 'A' && x <= 'Z' ? static_cast<char>(x + 32) : x) == y;
  });
}

Pattern compile(std::string_view regex, std::string_view before, std::string_view after,
                PythonPlace place, std::string_view subject) {
  if (regex.size() > kMaxPattern) {
    fail(ErrorCode::corrupt, "{}: a pattern of {} bytes, expected at most {}", subject,
         regex.size(), kMaxPattern);
  }
  return Pattern::python(regex, before, after, place, subject);
}

}  // namespace

NamePattern NamePattern::whole_name(std::string_view regex, std::string_view subject) {
  return NamePattern(compile(regex, "\\A(?:", ")\\z", PythonPlace::alone, subject));
}

NamePattern NamePattern::suffix(std::string_view regex, std::string_view subject) {
  return NamePattern(
      compile(regex, "\\A(?:.*\\.)?(?:", ")\\z", PythonPlace::inside_another, subject));
}

bool NamePattern::matches(std::string_view name) const {
  return Search(*pattern_).find(name, 0).has_value();
}

NumberPattern NumberPattern::parse(std::string_view regex, std::string_view subject) {
  if (regex.find('|') != regex.npos) {
    fail(ErrorCode::incompatible, "{}: {} holds alternatives, which are not supported", subject,
         quote(regex));
  }
  return NumberPattern(
      compile(regex, "\\A(?:.*?\\.)??", "\\.[0-9]+\\.", PythonPlace::inside_another, subject));
}

std::optional<std::uint64_t> NumberPattern::number_in(std::string_view module) const {
  const auto match = Search(*pattern_).find(module, 0);
  if (!match) return std::nullopt;
  const std::string_view found = module.substr(0, match->end - 1);
  const std::string_view digits = found.substr(found.rfind('.') + 1);
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  return error == std::errc() ? std::optional(number) : std::nullopt;
}

ModuleFilter ModuleFilter::parse(const Json& value, bool dotted, const std::string& subject) {
  ModuleFilter filter;
  filter.dotted_ = dotted;
  if (value.is_null()) return filter;
  if (value.is_string()) {
    const auto text = value.get<std::string>();
    filter.all_linear_ = dotted && equal_ignoring_case(text, kAllLinear);
    if (!filter.all_linear_) filter.pattern_ = NamePattern::whole_name(text, subject);
    return filter;
  }
  if (!value.is_array()) {
    fail(ErrorCode::corrupt, "{}: expected a list of names or a string, got {}", subject,
         value.type_name());
  }
  for (const auto& name : value) {
    if (!name.is_string() || name.get_ref<const std::string&>().empty()) {
      fail(ErrorCode::corrupt, "{}: expected a list of names", subject);
    }
    filter.names_.push_back(name.get<std::string>());
  }
  return filter;
}

ModuleFilter ModuleFilter::of_names(std::vector<std::string> names, bool dotted) {
  ModuleFilter filter;
  filter.names_ = std::move(names);
  filter.dotted_ = dotted;
  return filter;
}

bool ModuleFilter::lists(std::string_view module) const {
  return std::find(names_.begin(), names_.end(), module) != names_.end();
}

bool ModuleFilter::matches(std::string_view module) const {
  if (pattern_) return pattern_->matches(module);
  return std::any_of(names_.begin(), names_.end(), [&](const std::string& name) {
    if (!module.ends_with(name)) return false;
    return !dotted_ || module.size() == name.size() ||
           module[module.size() - name.size() - 1] == '.';
  });
}

}  // namespace organ::train
