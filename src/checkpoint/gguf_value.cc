#include "checkpoint/gguf_value.h"

#include "base/error.h"

namespace lmdeploy {

void GgufMetadata::add(const std::string& key, GgufValue value) {
  if (!values_.emplace(key, std::move(value)).second)
    throw Error(fmt::format("{}: the metadata key {} stands twice", origin_, key),
                "The file is damaged; fetch it again.");
}

void GgufMetadata::missing(const std::string& key) const {
  throw Error(fmt::format("{}: the metadata key {} is missing", origin_, key),
              "The file is incomplete; make or fetch it again.");
}

template <class T>
const T* GgufMetadata::find(const std::string& key, const char* expected) const {
  const auto found = values_.find(key);
  if (found == values_.end()) return nullptr;
  if (const T* value = std::get_if<T>(&found->second)) return value;
  throw Error(fmt::format("{}: the metadata key {} must be {}", origin_, key, expected));
}

std::optional<std::int64_t> GgufMetadata::find_int(const std::string& key) const {
  const auto* value = find<std::int64_t>(key, "a whole number");
  return value == nullptr ? std::nullopt : std::optional(*value);
}

std::int64_t GgufMetadata::get_int(const std::string& key) const {
  const std::optional<std::int64_t> value = find_int(key);
  if (!value) missing(key);
  return *value;
}

std::optional<double> GgufMetadata::find_number(const std::string& key) const {
  const auto* value = find<double>(key, "a floating point number");
  return value == nullptr ? std::nullopt : std::optional(*value);
}

std::optional<bool> GgufMetadata::find_bool(const std::string& key) const {
  const auto* value = find<bool>(key, "true or false");
  return value == nullptr ? std::nullopt : std::optional(*value);
}

std::optional<std::string> GgufMetadata::find_string(const std::string& key) const {
  const auto* value = find<std::string>(key, "a string");
  return value == nullptr ? std::nullopt : std::optional(*value);
}

std::string GgufMetadata::get_string(const std::string& key) const {
  std::optional<std::string> value = find_string(key);
  if (!value) missing(key);
  return *std::move(value);
}

const std::vector<std::int64_t>* GgufMetadata::find_ints(const std::string& key) const {
  return find<std::vector<std::int64_t>>(key, "a list of whole numbers");
}

const std::vector<double>* GgufMetadata::find_numbers(const std::string& key) const {
  return find<std::vector<double>>(key, "a list of floating point numbers");
}

const std::vector<std::string>* GgufMetadata::find_strings(const std::string& key) const {
  return find<std::vector<std::string>>(key, "a list of strings");
}

const std::vector<std::string>& GgufMetadata::get_strings(const std::string& key) const {
  const auto* value = find_strings(key);
  if (value == nullptr) missing(key);
  return *value;
}

}  // namespace lmdeploy
