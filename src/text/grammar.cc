#include "text/grammar.h"

#include <list>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "text/rust_bridge.h"
#include "text/token_bytes.h"

namespace lmdeploy {
namespace {

class AnswerMask final : public TokenMask {
 public:
  explicit AnswerMask(const rust::Grammar& grammar) : matcher_(grammar) {}
  bool fill(std::span<std::uint32_t> mask) override { return matcher_.fill(mask); }
  void accept(std::int32_t token) override { matcher_.accept(token); }

 private:
  rust::Matcher matcher_;
};

class CompiledGrammar final : public Grammar {
 public:
  explicit CompiledGrammar(rust::Grammar inner) : inner_(std::move(inner)) {}
  std::unique_ptr<TokenMask> begin() const override { return std::make_unique<AnswerMask>(inner_); }
  const rust::Grammar& inner() const noexcept { return inner_; }

 private:
  rust::Grammar inner_;
};

rust::Vocabulary make_vocabulary(const Tokenizer& tokenizer, std::span<const TokenId> eos_ids) {
  rust::Vocabulary::Tokens tokens;
  for (TokenId id = 0; id < tokenizer.vocab_size(); id++) {
    const std::string bytes = tokenizer.id_to_token(id).empty() ? std::string() : token_bytes(tokenizer, id);
    tokens.bytes += bytes;
    tokens.lens.push_back(static_cast<std::uint32_t>(bytes.size()));
    tokens.special += tokenizer.is_special(id) ? '\1' : '\0';
  }
  return {tokens, eos_ids};
}

std::size_t num_spec_bytes(const GrammarSpec& spec) {
  std::size_t num_bytes = spec.lark.size();
  for (const GrammarSpec::Schema& schema : spec.schemas) num_bytes += schema.json.size();
  return num_bytes;
}

std::string schemas_json(const GrammarSpec& spec) {
  auto list = nlohmann::json::array();
  for (const GrammarSpec::Schema& schema : spec.schemas) list.push_back({schema.name, schema.json});
  return list.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

// The last used first.
class Cache {
 public:
  explicit Cache(std::size_t max_bytes) : max_bytes_(max_bytes) {}

  std::shared_ptr<const CompiledGrammar> find(const GrammarSpec& spec) {
    for (auto entry = entries_.begin(); entry != entries_.end(); ++entry) {
      if (entry->first != spec) continue;
      if (entry->second->inner().has_failed()) {
        entries_.erase(entry);
        return nullptr;
      }
      entries_.splice(entries_.begin(), entries_, entry);
      return entry->second;
    }
    return nullptr;
  }

  void add(const GrammarSpec& spec, std::shared_ptr<const CompiledGrammar> grammar) {
    std::erase_if(entries_,
                  [&](const auto& entry) { return entry.first == spec; });  // compiled at once by two
    entries_.emplace_front(spec, std::move(grammar));
    shrink();
  }

  // Grammars grow while they are used.
  void shrink() {
    while (!entries_.empty() && num_bytes() > max_bytes_) entries_.pop_back();
  }

  std::size_t num_bytes() const {
    std::size_t sum = 0;
    for (const auto& [spec, grammar] : entries_) sum += grammar->inner().num_bytes() + num_spec_bytes(spec);
    return sum;
  }

 private:
  const std::size_t max_bytes_;
  std::list<std::pair<GrammarSpec, std::shared_ptr<const CompiledGrammar>>> entries_;
};

}  // namespace

struct GrammarCompiler::Impl {
  Impl(const Tokenizer& tokenizer_in, std::vector<TokenId> eos_ids_in, GrammarLimits limits_in)
      : tokenizer(tokenizer_in),
        eos_ids(std::move(eos_ids_in)),
        limits(limits_in),
        cache(limits.max_cache_bytes) {}

  const rust::Vocabulary& vocabulary_once() {
    std::call_once(vocabulary_made, [this] { vocabulary.emplace(make_vocabulary(tokenizer, eos_ids)); });
    return *vocabulary;
  }

  std::shared_ptr<const CompiledGrammar> find(const GrammarSpec& spec) {
    const std::lock_guard lock(cache_mutex);
    cache.shrink();
    return cache.find(spec);
  }

  const Tokenizer& tokenizer;
  const std::vector<TokenId> eos_ids;
  const GrammarLimits limits;
  std::once_flag vocabulary_made;
  std::optional<rust::Vocabulary> vocabulary;  // made for the first that is compiled

  mutable std::mutex cache_mutex;
  Cache cache;
};

GrammarCompiler::GrammarCompiler(const Tokenizer& tokenizer, std::vector<TokenId> eos_ids,
                                 GrammarLimits limits)
    : impl_(std::make_unique<Impl>(tokenizer, std::move(eos_ids), limits)) {}

GrammarCompiler::~GrammarCompiler() = default;

std::shared_ptr<const Grammar> GrammarCompiler::compile(const GrammarSpec& spec) {
  if (auto found = impl_->find(spec)) return found;
  const GrammarLimits& limits = impl_->limits;
  if (num_spec_bytes(spec) > limits.max_spec_bytes)
    throw Error(
        fmt::format("expected at most {} bytes, found {}", limits.max_spec_bytes, num_spec_bytes(spec)));
  auto compiled = std::make_shared<const CompiledGrammar>(rust::Grammar(
      impl_->vocabulary_once(), spec.lark, schemas_json(spec), static_cast<std::uint32_t>(limits.max_depth),
      static_cast<std::uint64_t>(limits.max_compile_time.count())));
  const std::lock_guard lock(impl_->cache_mutex);
  impl_->cache.add(spec, compiled);
  return compiled;
}

void GrammarCompiler::compile(GrammarSpec spec, std::function<void(Compiled)> done) {
  if (auto found = impl_->find(spec)) return done(std::shared_ptr<const Grammar>(std::move(found)));
  threads_.post([this, spec = std::move(spec), done = std::move(done)] {
    const auto compiled = [&]() -> Compiled {
      try {
        return compile(spec);
      } catch (const Error& error) {
        return error;
      } catch (const std::exception& error) {
        return Error(error.what());
      }
    };
    done(compiled());
  });
}

std::size_t GrammarCompiler::num_cache_bytes() const {
  const std::lock_guard lock(impl_->cache_mutex);
  return impl_->cache.num_bytes();
}

}  // namespace lmdeploy
