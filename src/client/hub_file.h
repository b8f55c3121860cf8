#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "client/hub_api.h"

namespace lmdeploy::client {

// One file on its way from the hub to a blob of the cache.
struct FileDownload {
  HubRepo repo;
  std::string url;
  HubFile file;
  std::filesystem::path incomplete;  // grows; kept when the download is cut off
  std::filesystem::path blob;        // appears when all of it is there and its hash is right
  // Bytes that came (or, negative, were thrown away), for the progress; may be empty.
  std::function<void(std::int64_t num_bytes)> on_bytes;
};

// Continues where `incomplete` ends. Returns when the blob is there, or when the connection was told to stop.
// Throws Error.
void download_file(HubConnection& hub, const FileDownload& download);

}  // namespace lmdeploy::client
