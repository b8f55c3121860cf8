#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "client/hub.h"

namespace lmdeploy::client {

// A file of a repository, or as much of it as tells a model's shape.
struct HubFileStart {
  std::string path;
  std::int64_t size = 0;  // of the whole file, bytes
  std::string begin;      // its first bytes
};

// What download_model() would download, without the data: config.json and the index of the weights are whole,
// of each safetensors file the header is there, of everything else nothing but the size. Asks for ranges, so
// that a few hundred kilobytes stand for any model. Throws Error as download_model() does.
std::vector<HubFileStart> fetch_model_headers(const std::string& repo_id, const HubOptions& options);

// The model's folder in the cache where it is complete, without asking anybody; empty where it is not.
std::filesystem::path find_downloaded(const std::string& repo_id, const HubOptions& options);

}  // namespace lmdeploy::client
