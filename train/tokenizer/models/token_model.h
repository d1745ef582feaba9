// SPDX-License-Identifier: Apache-2.0
// The vocabulary of a tokenizer and the rule that turns one piece of text into its ids.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace organ::train {

// Tokens and their ids. Immutable and thread-safe.
class Vocabulary {
 public:
  // By id; an empty text is an id without token, or one of `empty_tokens` tokens that no text
  // holds. Of equal texts the last id counts.
  explicit Vocabulary(std::vector<std::string> tokens, std::uint32_t empty_tokens = 0);
  Vocabulary(Vocabulary&&) = default;

  // nullopt for a text that is no token, and for the empty one.
  std::optional<std::int32_t> id_of(std::string_view token) const;
  // False for any number that is no id, negative ones too.
  bool has(std::int32_t id) const {
    const auto index = static_cast<std::size_t>(id);
    return id >= 0 && index < tokens_.size() && !tokens_[index].empty();
  }
  // The text of an id that has() a token. Valid as long as the vocabulary, also when it is moved.
  const std::string& token(std::int32_t id) const { return tokens_[static_cast<std::size_t>(id)]; }
  // By id; empty where has() says no.
  const std::vector<std::string>& tokens() const { return tokens_; }
  std::uint32_t token_count() const { return count_; }  // those without text among them
  // One more than the largest id.
  std::uint32_t size() const { return static_cast<std::uint32_t>(tokens_.size()); }
  // The ids of <0x00>-<0xFF>, -1 for those that are no tokens.
  std::vector<std::int32_t> byte_ids() const;

 private:
  std::vector<std::string> tokens_;
  std::unordered_map<std::string_view, std::int32_t> ids_;
  std::uint32_t count_ = 0;
};

// Immutable and thread-safe, so that one model serves any number of sessions at once. Knows no
// added tokens: text between them alone comes here.
class TokenModel {
 public:
  explicit TokenModel(Vocabulary vocabulary) : vocabulary_(std::move(vocabulary)) {}
  virtual ~TokenModel() = default;
  const Vocabulary& vocabulary() const { return vocabulary_; }
  // The id of what has no token, where the model names one; tokenizer_config.json may name another.
  virtual std::optional<std::int32_t> unk() const = 0;

  // What one encode() call remembers. One thread at a time; may keep views of the pieces.
  class Session {
   public:
    virtual ~Session() = default;
    // Called at times with how many bytes of a long piece are done; what it throws ends encode().
    std::function<void(std::size_t done)> reached = [](std::size_t /*done*/) {};
    // Appends the ids of one piece, valid UTF-8. O(n log n) in the bytes of the piece. Ids do not
    // depend on the pieces before it.
    virtual void encode(std::string_view piece, std::vector<std::int32_t>& out) = 0;
    // The pieces met so far are about to change or go away: drops the views of them. Must be called
    // before they do.
    virtual void forget() {}
  };
  // Borrows the model, which has to outlive it.
  virtual std::unique_ptr<Session> session() const = 0;

 private:
  Vocabulary vocabulary_;
};

using TokenModelPtr = std::unique_ptr<const TokenModel>;

}  // namespace organ::train
