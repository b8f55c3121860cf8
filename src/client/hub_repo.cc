#include "client/hub_repo.h"

namespace lmdeploy::client {

std::string HubRepo::api_path() const {
  return (kind == Kind::model ? "models/" : "datasets/") + id;
}

std::string HubRepo::page_path() const {
  return kind == Kind::model ? id : "datasets/" + id;
}

std::string HubRepo::cache_folder() const {
  std::string name = (kind == Kind::model ? "models--" : "datasets--") + id;
  for (std::size_t slash; (slash = name.find('/')) != std::string::npos;) name.replace(slash, 1, "--");
  return name;
}

}  // namespace lmdeploy::client
