#pragma once
#include <cstdint>
#include <string>

namespace lmdeploy::client {

// A repository of the hub. Models and data sets differ in where they lie, there and in the cache.
struct HubRepo {
  enum class Kind : std::uint8_t { model, dataset };

  std::string id;  // org/name
  Kind kind = Kind::model;

  std::string api_path() const;      // below the endpoint's /api/: "models/org/name"
  std::string page_path() const;     // below the endpoint: "org/name", "datasets/org/name"
  std::string cache_folder() const;  // "models--org--name"
  const char* noun() const noexcept { return kind == Kind::model ? "model" : "data set"; }
};

}  // namespace lmdeploy::client
