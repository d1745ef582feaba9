// SPDX-License-Identifier: Apache-2.0
#include <set>
#include <string>
#include <unordered_set>

#include "format/base/fail.h"
#include "format/pickle/internal/torch_storages.h"
#include "format/tensor/safetensors.h"

namespace organ::format::internal {
namespace {

class Walk {
 public:
  Walk(const Pickled& pickled, std::string_view subject) : pickled_(pickled), subject_(subject) {}

  // A list may hold itself and one list stand in many places: depth and steps are limited.
  void visit(const Value& value, const std::string& name, unsigned depth) {
    if (++steps_ > kSteps) refuse("its lists and dicts lead to more than {} values", kSteps);
    if (value.kind == Kind::tensor) return add(value, name);
    if (!leads_on(value)) return;
    const bool is_dict = value.kind == Kind::dict;
    const PickleLimits limits;
    if (depth > limits.depth) refuse("lists and dicts are nested more than {} deep", limits.depth);
    const std::string start = name.empty() ? name : name + ".";
    if (start.size() > limits.name_bytes) refuse("a name of more than {} bytes", limits.name_bytes);
    const std::vector<Value>& items = pickled_.items(value);
    if (is_dict) require_keys_once(items);
    for (std::size_t i = 0; i < items.size(); i += is_dict ? 2 : 1) {
      if (is_dict) {
        visit_item(items[i], items[i + 1], start, depth + 1);
      } else {
        visit(items[i], start + std::to_string(i), depth + 1);
      }
    }
  }

  std::vector<NamedTensor> take() { return std::move(found_); }

 private:
  static constexpr std::uint64_t kSteps = 4'000'000;

  template <typename... Args>
  [[noreturn]] void refuse(fmt::format_string<Args...> format, Args&&... args) const {
    fail(ErrorCode::corrupt, "{}: {}", quote(subject_),
         fmt::format(format, std::forward<Args>(args)...));
  }

  // Python keeps the last value of a key; True is 1 there, and 1.0 too. Of a long key see
  // visit_item().
  void require_keys_once(const std::vector<Value>& items) const {
    const PickleLimits limits;
    std::unordered_set<std::string_view> texts;
    std::unordered_set<std::int64_t> numbers;
    for (std::size_t i = 0; i < items.size(); i += 2) {
      const Value& key = items[i];
      bool added = true;
      if (key.kind == Kind::real) refuse("a real number is a key");
      if (key.kind == Kind::integer || key.kind == Kind::boolean) {
        added = numbers.insert(key.number).second;
      } else if (key.kind == Kind::text && pickled_.text(key).size() <= limits.name_bytes) {
        added = texts.insert(pickled_.text(key)).second;
      }
      if (added) continue;
      const std::string shown =
          key.kind == Kind::text ? quote(pickled_.text(key)) : std::to_string(key.number);
      refuse("key {} stands twice in a dict", shown);
    }
  }

  // What stands under another kind of key is nothing of a state dict. A key of any length may stand
  // in many dicts, so it is measured before it is copied.
  void visit_item(const Value& key, const Value& value, const std::string& start, unsigned depth) {
    const PickleLimits limits;
    if (key.kind == Kind::integer && key.number >= 0) {
      visit(value, start + std::to_string(key.number), depth);
    } else if (key.kind == Kind::text) {
      const std::string_view text = pickled_.text(key);
      if (text.size() <= limits.name_bytes) return visit(value, start + std::string(text), depth);
      if (leads_on(value)) refuse("a name of more than {} bytes", limits.name_bytes);
    }
  }

  static bool leads_on(const Value& value) {
    return value.kind == Kind::tensor || value.kind == Kind::dict || value.kind == Kind::list ||
           value.kind == Kind::tuple;
  }

  void add(const Value& value, const std::string& name) {
    const PickleLimits limits;
    if (found_.size() >= limits.tensors) refuse("more than {} tensors", limits.tensors);
    if (const auto flaw = tensor_name_flaw(name, limits.name_bytes)) {
      refuse("tensor name {}: {}", quote(name), *flaw);
    }
    if (!names_.insert(name).second) refuse("two tensors are called {}", quote(name));
    found_.push_back({name, static_cast<std::size_t>(value.number)});
  }

  const Pickled& pickled_;
  std::string_view subject_;
  std::uint64_t steps_ = 0;
  std::vector<NamedTensor> found_;
  std::set<std::string> names_;
};

}  // namespace

std::vector<NamedTensor> name_tensors(const Pickled& pickled, std::string_view subject) {
  Walk walk(pickled, subject);
  walk.visit(pickled.root, "", 0);
  return walk.take();
}

}  // namespace organ::format::internal
