#pragma once
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

namespace lmdeploy {

// The fields of one JSON object of a configuration, read with their types. null counts as absent, as it does
// for transformers. Every error names the file, the field, what was found and what was expected.
class JsonFields {
 public:
  // Both outlive this reader. `origin` is the file's path, with the path of a nested object behind it.
  JsonFields(const nlohmann::json& object, const std::string& origin) : object_(object), origin_(origin) {}

  struct IntRange {
    std::int64_t min;
    std::int64_t max;
  };

  const nlohmann::json* find(const char* field) const;  // nullptr: absent or null
  std::optional<std::int64_t> find_int(const char* field, IntRange range) const;
  std::int64_t get_int(const char* field, IntRange range) const;  // throws Error where it is absent
  std::optional<double> find_number(const char* field) const;     // finite
  std::optional<double> find_positive(const char* field) const;   // finite and above 0
  std::optional<bool> find_bool(const char* field) const;
  std::optional<std::string> find_string(const char* field) const;
  std::optional<std::vector<std::string>> find_strings(const char* field) const;
  // Token ids: an integer or a list of them. Negative ones mean "none" and are left out.
  std::vector<std::int32_t> find_token_ids(const char* field) const;
  std::optional<std::int32_t> find_token_id(const char* field) const;

  [[noreturn]] void wrong(const char* field, const std::string& expected) const;  // with the value found
  const std::string& origin() const { return origin_; }

 private:
  const nlohmann::json& object_;
  const std::string& origin_;
};

}  // namespace lmdeploy
