// SPDX-License-Identifier: Apache-2.0
// config.json of well-known models, as far as it matters, written by hand.
#pragma once

#include <string_view>

#include <nlohmann/json.hpp>

namespace organ::test {

// TinyLlama-1.1B, Llama-2-7B, Llama-3.1-8B, Mistral-7B-v0.1, Mistral-7B-v0.3, SmolLM2-135M,
// Qwen2.5-0.5B, Qwen3-0.6B, GPT-2, GPT-OSS-20B, BERT-base, T5-base.
nlohmann::json model_config(std::string_view name);

// The object with one member set.
inline nlohmann::json with(nlohmann::json object, std::string_view key, nlohmann::json value) {
  object[key] = std::move(value);
  return object;
}

}  // namespace organ::test
