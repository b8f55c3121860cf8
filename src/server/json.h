#pragma once
// Strict JSON: what a client sends is read in one way only, or refused with the place and what was expected.
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace lmdeploy {

using Json = nlohmann::ordered_json;  // keeps the order of keys: a chat template may print a client's object

inline constexpr std::size_t kMaxJsonDepth = 64;
inline constexpr std::size_t kMaxJsonObjectKeys = 512;

// Throws ApiError (400): not JSON, not UTF-8, a lone surrogate, a number that no double holds, a key twice in
// one object, deeper than kMaxJsonDepth, more keys than kMaxJsonObjectKeys.
Json parse_json(std::string_view text);

// Compact. Token texts of a damaged vocabulary and quoted headers need not be UTF-8: what is not becomes
// U+FFFD.
std::string dump_json(const Json& value);

// A value for a message: `"hot" (string)`, cut where it is long.
std::string describe(const Json& value);

// What a parser asked of one field: its type and range as the parser itself has them. /openapi.json is made
// of these.
struct FieldNote {
  enum class Type : std::uint8_t { any, boolean, string, integer, number, object, unsupported };
  std::string path = {};  // "top_p", "stream_options.include_usage"
  Type type = Type::any;
  Json min = nullptr, max = nullptr;  // inclusive; null: none
  std::vector<Json> neutral = {};     // what is taken of an unsupported one
};
using FieldNotes = std::vector<FieldNote>;

// Reads the fields of one object. null counts as not given. Every call throws ApiError (400) that names the
// field, what was expected and what was found.
class JsonFields {
 public:
  // `path` is the object's own name in messages and `param`, empty for the body.
  // `notes`, where given, gets what is asked for, whether the object has it or not.
  JsonFields(const Json& object, std::string path, FieldNotes* notes = nullptr);

  std::optional<bool> boolean(std::string_view name);
  std::optional<std::string> string(std::string_view name);
  std::optional<std::int64_t> integer(std::string_view name,
                                      std::int64_t min = std::numeric_limits<std::int64_t>::min(),
                                      std::int64_t max = std::numeric_limits<std::int64_t>::max());
  std::optional<double> number(std::string_view name, double min, double max);
  const Json* object(std::string_view name);  // null if not given
  const Json* any(std::string_view name);     // null if not given

  // A field whose feature is not there: given, it must be one of `neutral`.
  void neutral(std::string_view name, std::initializer_list<Json> neutral);

  // To be called last: throws where the object has a field that nobody has asked for.
  void refuse_unknown() const;

  std::string path_of(std::string_view name) const;
  FieldNotes* notes() const { return notes_; }  // for the objects within this one
  [[noreturn]] void fail(std::string_view name, std::string_view expected, const Json& found) const;

 private:
  const Json* find(std::string_view name);
  void note(std::string_view name, FieldNote what);

  const Json& object_;
  std::string path_;
  FieldNotes* notes_;
  std::set<std::string, std::less<>> known_;
};

// An integer, also spelled 16.0; empty where it is not one or does not fit.
std::optional<std::int64_t> to_integer(const Json& value);

}  // namespace lmdeploy
