#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace lmdeploy {

// One metadata value of a GGUF file. All integer widths are one type, so are both float widths; a 32-bit
// float becomes the double with its shortest decimal spelling (1e-05, not 9.999999747378752e-06).
using GgufValue = std::variant<bool, std::int64_t, double, std::string, std::vector<std::int64_t>,
                               std::vector<double>, std::vector<std::string>>;

// The metadata of a file by key. `find` may fail, `get` must not; a value of another type than asked for
// throws Error with the key.
class GgufMetadata {
 public:
  explicit GgufMetadata(std::string origin) : origin_(std::move(origin)) {}

  void add(const std::string& key, GgufValue value);  // throws Error where the key is there already
  bool contains(const std::string& key) const { return values_.count(key) != 0; }

  std::optional<std::int64_t> find_int(const std::string& key) const;
  std::int64_t get_int(const std::string& key) const;
  std::optional<double> find_number(const std::string& key) const;
  std::optional<bool> find_bool(const std::string& key) const;
  std::optional<std::string> find_string(const std::string& key) const;
  std::string get_string(const std::string& key) const;
  // nullptr where the key is absent.
  const std::vector<std::int64_t>* find_ints(const std::string& key) const;
  const std::vector<double>* find_numbers(const std::string& key) const;
  const std::vector<std::string>* find_strings(const std::string& key) const;
  const std::vector<std::string>& get_strings(const std::string& key) const;

  const std::map<std::string, GgufValue>& values() const noexcept { return values_; }
  const std::string& origin() const noexcept { return origin_; }  // the file's path

 private:
  [[noreturn]] void missing(const std::string& key) const;
  template <class T>
  const T* find(const std::string& key, const char* expected) const;

  std::string origin_;
  std::map<std::string, GgufValue> values_;
};

}  // namespace lmdeploy
