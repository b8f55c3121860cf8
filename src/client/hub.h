#pragma once
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "client/http_client.h"
#include "client/hub_repo.h"

namespace lmdeploy::client {

struct HubProgress {
  int num_files_done = 0;
  int num_files = 0;
  std::int64_t done_bytes = 0;  // of the files that are needed, what was there before included
  std::int64_t total_bytes = 0;
};

// Where models and data sets come from and go to. The caller reads the environment (HF_ENDPOINT, HF_TOKEN,
// ...).
struct HubOptions {
  std::string endpoint = "https://huggingface.co";
  std::string token;                // sent to `endpoint` only, never to where it redirects
  std::filesystem::path cache_dir;  // in the hub's own layout, shared with Python's huggingface_hub
  std::string revision = "main";    // branch, tag or commit
  bool offline = false;             // only what is in the cache
  int num_parallel = 4;             // files at once
  int max_attempts = 6;             // per file, without a byte of progress between them
  std::chrono::milliseconds retry_delay{500};  // doubles with every attempt
  HttpOptions http;
  // Called several times a second, from one thread at a time. May be empty.
  std::function<void(const HubProgress&)> on_progress;
};

// The folder of a model repository (`org/name`) in the cache, with what is needed to run it: safetensors,
// configuration, tokenizer, chat template. What is missing is downloaded: resumed where an earlier run was
// cut off, checked against the hub's size and hash before it appears under its name. Where the hub cannot be
// reached and the cache is complete, the cache answers, with a warning.
//
// Throws Error: no such repository or revision, a gated one, offline and not cached, no safetensors, a full
// disk, a hash that does not fit, a network that stays broken.
std::filesystem::path download_model(const std::string& repo_id, const HubOptions& options);

// One file of a repository in the cache, downloaded in the same way where it is missing. Throws Error.
std::filesystem::path download_one_file(const HubRepo& repo, const std::string& path,
                                        const HubOptions& options);

// The first `count` bytes of a file of a repository, or all of them where it has fewer, out of the cache or
// from the hub; what comes from the hub is not kept, as no hash could tell that it is right. Throws Error.
std::string download_first_bytes(const HubRepo& repo, const std::string& path, std::int64_t count,
                                 const HubOptions& options);

}  // namespace lmdeploy::client
