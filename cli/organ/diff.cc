// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <memory>

#include <nlohmann/json.hpp>

#include "cli/frame/long_work.h"
#include "cli/organ/commands.h"
#include "cli/organ/organ_argument.h"
#include "format/base/fail.h"
#include "format/base/json.h"
#include "format/base/path_status.h"
#include "format/organ/organ_diff.h"

namespace organ::cli {
namespace {

using format::DiffState;
using format::MetadataChange;
using format::OrganDiff;
using format::TensorDiff;
using format::TensorFigures;

struct DiffArguments {
  std::string a, b;
};

OrganArgument open_side(const Context& context, const std::string& text, const Work& work) {
  if (!is_file(text)) return open_organ(context, text, work);
  OrganArgument argument;
  argument.text = text;
  argument.organ = std::make_unique<format::ManifestFile>(format::ManifestFile::open(text));
  return argument;
}

// How many of the tensors are in each state, in the order of the states.
std::array<std::size_t, 4> counts_of(const OrganDiff& diff) {
  std::array<std::size_t, 4> counts{};
  for (const TensorDiff& tensor : diff.tensors) ++counts[static_cast<std::size_t>(tensor.state)];
  return counts;
}

nlohmann::json value_json(const std::optional<JsonText>& value) {
  return value ? json_of(*value) : nlohmann::json();
}

nlohmann::json tensor_json(const std::optional<format::TensorInfo>& tensor) {
  if (!tensor) return nlohmann::json();
  return {{"dtype", to_string(tensor->dtype)}, {"shape", tensor->shape}};
}

nlohmann::json number_json(const std::optional<double>& number) {
  return number ? nlohmann::json(*number) : nlohmann::json();
}

nlohmann::json figures_json(const std::optional<TensorFigures>& figures) {
  if (!figures) return nlohmann::json();
  return {{"elements", figures->elements},
          {"changed", figures->changed},
          {"not_finite_a", figures->not_finite_a},
          {"not_finite_b", figures->not_finite_b},
          {"max_abs", number_json(figures->max_abs)},
          {"relative_l2", number_json(figures->relative_l2)},
          {"cosine", number_json(figures->cosine)}};
}

nlohmann::json record_of(const OrganDiff& diff) {
  nlohmann::json metadata = nlohmann::json::array(), files = nlohmann::json::array(),
                 tensors = nlohmann::json::array();
  for (const MetadataChange& change : diff.metadata) {
    metadata.push_back({{"pointer", change.pointer},
                        {"in_a", change.before.has_value()},
                        {"in_b", change.after.has_value()},
                        {"a", value_json(change.before)},
                        {"b", value_json(change.after)}});
  }
  for (const format::FileDiff& file : diff.files) {
    files.push_back({{"path", file.path}, {"state", to_string(file.state)}});
  }
  for (const TensorDiff& tensor : diff.tensors) {
    tensors.push_back({{"file", tensor.file},
                       {"name", tensor.name},
                       {"state", to_string(tensor.state)},
                       {"a", tensor_json(tensor.a)},
                       {"b", tensor_json(tensor.b)},
                       {"figures", figures_json(tensor.figures)},
                       {"why_none", escape_text(tensor.why_none, 2048)}});
  }
  const auto counts = counts_of(diff);
  return {{"equal", diff.is_equal()},
          {"metadata", metadata},
          {"files", files},
          {"tensors", tensors},
          {"counts",
           {{"same", counts[0]},
            {"changed", counts[1]},
            {"only_a", counts[2]},
            {"only_b", counts[3]}}}};
}

std::string value_text(const std::optional<JsonText>& value) {
  constexpr std::size_t kWidth = 120;
  return value ? escape_text(value->text(), kWidth) : "nothing";
}

std::string number_text(const std::optional<double>& number) {
  return number ? fmt::format("{:.4g}", *number) : "-";
}

std::string share_text(const TensorFigures& figures) {
  const double share = static_cast<double>(figures.changed) / static_cast<double>(figures.elements);
  return fmt::format("{:.4g} %", 100 * share);
}

std::string kind_text(const format::TensorInfo& tensor) {
  return fmt::format("{} {}", to_string(tensor.dtype), format::to_string(tensor.shape));
}

std::string title(const TensorDiff& tensor) {
  return escape_text(tensor.file) + "/" + escape_text(tensor.name);
}

void print_tensor(const Context& context, const TensorDiff& tensor, std::size_t width) {
  const std::string name = fmt::format("{:<{}}", title(tensor), width);
  if (tensor.state == DiffState::only_a || tensor.state == DiffState::only_b) {
    const bool in_a = tensor.state == DiffState::only_a;
    return context.print(fmt::format("{}  only in {}: {}", name, in_a ? "a" : "b",
                                     kind_text(in_a ? *tensor.a : *tensor.b)));
  }
  if (tensor.figures) {
    const TensorFigures& figures = *tensor.figures;
    context.print(fmt::format("{}  {:>10}  {:>10}  {:>9}  {:>10}", name,
                              number_text(figures.max_abs), number_text(figures.relative_l2),
                              share_text(figures), number_text(figures.cosine)));
    if (figures.not_finite_a > 0 || figures.not_finite_b > 0) {
      context.print(fmt::format("  NaN or infinite: {} in a, {} in b; no figure has them",
                                figures.not_finite_a, figures.not_finite_b));
    }
  } else {
    context.print(fmt::format("{}  changed: {}", name, escape_text(tensor.why_none, 2048)));
  }
  const std::string before = kind_text(*tensor.a), after = kind_text(*tensor.b);
  if (before != after) context.print(fmt::format("  {} in a, {} in b", before, after));
}

// What training recorded of each tensor is many lines that the table of tensors stands for.
void print_metadata(const Context& context, const OrganDiff& diff) {
  std::size_t of_tensors = 0;
  for (const MetadataChange& change : diff.metadata) {
    if (change.pointer.starts_with("/training/changes/") && context.verbose == 0) {
      ++of_tensors;
      continue;
    }
    context.print(fmt::format("{}: {} -> {}", escape_text(change.pointer),
                              value_text(change.before), value_text(change.after)));
  }
  if (of_tensors > 0) {
    context.print(fmt::format("/training/changes: {} of its values (-v shows them)", of_tensors));
  }
}

void print_text(const Context& context, const OrganDiff& diff) {
  print_metadata(context, diff);
  for (const format::FileDiff& file : diff.files) {
    if (file.state == DiffState::same) continue;
    context.print(fmt::format("{}: {}", escape_text(file.path), to_string(file.state)));
  }
  std::size_t width = 0;
  bool measured = false;
  for (const TensorDiff& tensor : diff.tensors) {
    if (tensor.state == DiffState::same) continue;
    width = std::max(width, title(tensor).size());
    measured = measured || tensor.figures;
  }
  if (measured) {
    context.print(fmt::format("{:<{}}  {:>10}  {:>10}  {:>9}  {:>10}", "tensor", width, "max |a-b|",
                              "rel. L2", "changed", "cosine"));
  }
  for (const TensorDiff& tensor : diff.tensors) {
    if (tensor.state != DiffState::same) print_tensor(context, tensor, width);
  }
  const auto counts = counts_of(diff);
  context.print(fmt::format(
      "tensors: {} same, {} changed, {} only in a, {} only in b; metadata: {}", counts[0],
      counts[1], counts[2], counts[3], counted(diff.metadata.size(), "change")));
}

void run(const Context& context, const DiffArguments& arguments) {
  OrganArgument a, b;
  const OrganDiff diff = watched(context, 0, [&](const Work& work) {
    a = open_side(context, arguments.a, work);
    b = open_side(context, arguments.b, work);
    return format::compare_organs(*a.organ, *b.organ, work);
  });
  if (context.json) {
    nlohmann::json record = record_of(diff);
    record["a"] = escape_text(a.text);
    record["b"] = escape_text(b.text);
    context.print_json("diff", std::move(record));
  } else {
    print_text(context, diff);
  }
}

}  // namespace

void add_diff(Command& app, Context& context) {
  const auto arguments =
      std::make_shared<DiffArguments>();  // lives as long as the parser's callback
  Command command = app.add_command(
      context, "diff", "compare two organs: what is said of them, and tensor by tensor",
      "  organ diff legal:1.0.0 legal:1.1.0\n"
      "  organ diff legal@stable ./legal-next --json\n"
      "  organ diff contracts/organ.json legal:1.1.0");
  command.add_path("A", arguments->a, "reference, organ folder, or an organ.json alone").required();
  command.add_path("B", arguments->b, "what is compared with it, one of these").required();
  command.on_run([&context, arguments] { run(context, *arguments); });
}

}  // namespace organ::cli
