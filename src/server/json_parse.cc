#include <fmt/format.h>

#include "server/api_error.h"
#include "server/json.h"

namespace lmdeploy {
namespace {

// Builds the value from the parser's events; nlohmann's own builder keeps the last of two equal keys and has
// no bound on depth.
class StrictBuilder {
 public:
  explicit StrictBuilder(Json& root) : root_(root) {}

  bool null() { return add(nullptr); }
  bool boolean(bool value) { return add(value); }
  bool number_integer(Json::number_integer_t value) { return add(value); }
  bool number_unsigned(Json::number_unsigned_t value) { return add(value); }
  bool number_float(Json::number_float_t value, const Json::string_t&) { return add(value); }
  bool string(Json::string_t& value) { return add(std::move(value)); }
  bool binary(Json::binary_t&) { return false; }
  bool start_object(std::size_t) { return open(Json::object()); }
  bool start_array(std::size_t) { return open(Json::array()); }
  bool end_object() { return close(); }
  bool end_array() { return close(); }

  bool key(Json::string_t& name) {
    Json& object = *open_.back();
    if (object.size() >= kMaxJsonObjectKeys)
      return refuse(fmt::format("an object has more than {} keys", kMaxJsonObjectKeys));
    const auto [slot, is_new] = object.emplace(name, nullptr);
    if (!is_new) return refuse(fmt::format("the key \"{}\" is given twice", name));
    slot_ = &slot.value();
    return true;
  }

  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception& e) {
    const std::string_view what = e.what();  // "[json.exception...] parse error at line 1, column 2: ..."
    const std::size_t reason = what.find("] ");
    return refuse(fmt::format("the body is not valid JSON (byte {}): {}", position,
                              reason == what.npos ? what : what.substr(reason + 2)));
  }

  const std::string& problem() const { return problem_; }

 private:
  template <typename T>
  Json* place(T&& value) {
    if (open_.empty()) {
      root_ = std::forward<T>(value);
      return &root_;
    }
    if (Json& parent = *open_.back(); parent.is_array()) {
      parent.push_back(std::forward<T>(value));
      return &parent.back();
    }
    *slot_ = std::forward<T>(value);
    return slot_;
  }
  template <typename T>
  bool add(T&& value) {
    place(Json(std::forward<T>(value)));
    return true;
  }
  bool open(Json container) {
    if (open_.size() >= kMaxJsonDepth)
      return refuse(fmt::format("the body is nested deeper than {} levels", kMaxJsonDepth));
    open_.push_back(place(std::move(container)));
    return true;
  }
  bool close() {
    open_.pop_back();
    return true;
  }
  bool refuse(std::string problem) {
    problem_ = std::move(problem);
    return false;
  }

  Json& root_;
  // Containers that are not closed yet. Their addresses hold: only the innermost one grows, and growing moves
  // values that are complete.
  std::vector<Json*> open_;
  Json* slot_ = nullptr;  // of the key that was read last
  std::string problem_;
};

}  // namespace

Json parse_json(std::string_view text) {
  Json value;
  StrictBuilder builder(value);
  if (text.empty()) throw ApiError(400, "expected a JSON object as the body, found an empty body");
  if (!Json::sax_parse(text, &builder)) throw ApiError(400, builder.problem());
  return value;
}

}  // namespace lmdeploy
