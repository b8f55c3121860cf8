#include "client/stand_in_hub.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "client/digest.h"

namespace lmdeploy::client {
namespace {

bool is_lfs(const std::string& path) {
  return path.ends_with(".safetensors") || path.ends_with(".model") || path.ends_with(".parquet") ||
         path.ends_with(".gz");
}

}  // namespace

StandInHub::StandInHub(HubRepo repo, std::string revision)
    : cdn([this](const SeenRequest& request) { return answer_cdn(request); }),
      hub([this](const SeenRequest& request) { return answer_hub(request); }),
      repo_(std::move(repo)),
      revision_(std::move(revision)) {
  add_file("config.json", R"({"architectures": ["LlamaForCausalLM"]})");
  add_file("tokenizer.json", R"({"version": "1.0"})");
  add_file("model.safetensors", std::string(100'000, 'w') + "end");
}

void StandInHub::add_file(const std::string& path, const std::string& content) {
  files_[path] = content;
}

std::string StandInHub::etag_of(const std::string& path, const std::string& content) {
  Digest digest =
      is_lfs(path) ? Digest::sha256() : Digest::git_blob(static_cast<std::int64_t>(content.size()));
  digest.update(content);
  return digest.finish();
}

HubOptions StandInHub::options(const std::filesystem::path& cache_dir) const {
  HubOptions options;
  options.endpoint = hub.url();
  options.cache_dir = cache_dir;
  options.revision = revision_;
  options.retry_delay = std::chrono::milliseconds(1);
  options.max_attempts = 3;
  return options;
}

std::vector<SeenRequest> StandInHub::requests_for(const std::string& path) const {
  std::vector<SeenRequest> found;
  for (const StandInServer* server : {&hub, &cdn})
    for (const SeenRequest& request : server->seen())
      if (request.target.ends_with("/" + path)) found.push_back(request);
  return found;
}

std::string StandInHub::listing() const {
  nlohmann::json siblings = nlohmann::json::array();
  for (const auto& [path, content] : files_) {
    nlohmann::json file{{"rfilename", path}};
    if (lists_hashes_ && is_lfs(path)) {
      file["size"] = content.size();
      file["blobId"] = std::string(40, '0');  // of the pointer file, which nobody wants
      file["lfs"] = {{"sha256", etag_of(path, content)}, {"size", content.size()}, {"pointerSize", 130}};
    } else if (lists_hashes_) {
      file["size"] = content.size();
      file["blobId"] = etag_of(path, content);
    }
    siblings.push_back(file);
  }
  return nlohmann::json{{"sha", kCommit}, {"siblings", siblings}}.dump();
}

bool StandInHub::take_fault(const std::string& key, StandInReply& reply) {
  const std::lock_guard lock(mutex_);
  auto& queue = faults_[key];
  if (queue.empty()) return false;
  reply = queue.front();
  queue.pop_front();
  return true;
}

StandInReply StandInHub::answer_hub(const SeenRequest& request) {
  StandInReply reply;
  const std::string revision = escape_name(revision_);
  if (request.target.starts_with(fmt::format("/api/{}/revision/{}?", repo_.api_path(), revision))) {
    if (!take_fault("listing", reply)) reply.body = listing();
    return reply;
  }
  std::string path;
  for (const std::string& name : {std::string(kCommit), revision}) {
    const std::string prefix = fmt::format("/{}/resolve/{}/", repo_.page_path(), name);
    if (request.target.starts_with(prefix)) path = request.target.substr(prefix.size());
  }
  if (files_.count(path) == 0) return {404, {"X-Error-Code: EntryNotFound"}, "", -1, -1};
  if (is_lfs(path))
    return {302,
            {"Location: " + cdn.url() + "/blobs/" + path,
             "X-Linked-ETag: \"" + etag_of(path, files_[path]) + "\"",
             fmt::format("X-Linked-Size: {}", files_[path].size())},
            "",
            -1,
            -1};
  if (take_fault(path, reply)) return reply;
  return content(path, request);
}

StandInReply StandInHub::answer_cdn(const SeenRequest& request) {
  const std::string path = request.target.substr(std::string("/blobs/").size());
  StandInReply reply;
  if (take_fault(path, reply)) return reply;
  return content(path, request);
}

StandInReply StandInHub::content(const std::string& path, const SeenRequest& request) const {
  StandInReply reply;
  reply.body = files_.at(path);
  reply.headers.push_back("ETag: \"" + etag_of(path, reply.body) + "\"");
  const auto range = request.headers.find("range");
  if (range == request.headers.end() || ignores_ranges_) return reply;
  const std::size_t total = reply.body.size();
  const std::size_t begin = std::stoul(range->second.substr(std::string("bytes=").size()));
  if (begin >= total) return {416, {}, "", -1, -1};
  reply.status = 206;
  reply.body = reply.body.substr(begin);
  reply.headers.push_back(fmt::format("Content-Range: bytes {}-{}/{}", begin, total - 1, total));
  return reply;
}

}  // namespace lmdeploy::client
