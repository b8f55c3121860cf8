#include "client/hub_api.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "client/hub_cache.h"

namespace lmdeploy::client {
namespace {

using Json = nlohmann::json;

[[noreturn]] void refuse_listing(const std::string& reason) {
  throw Error(fmt::format("the hub's listing is none: {}", reason),
              "Check HF_ENDPOINT and any proxy in between.");
}

// The path becomes part of a path on this machine.
bool stays_inside(const std::string& path) {
  const std::filesystem::path parsed(path);
  if (path.empty() || parsed.is_absolute() || path.find('\\') != std::string::npos) return false;
  return std::none_of(parsed.begin(), parsed.end(), [](const std::filesystem::path& part) {
    return part == ".." || part == "." || part.empty();
  });
}

// A hash becomes a file name, so it must look like one.
bool is_hash(const std::string& etag) {
  return (etag.size() == 40 || etag.size() == 64) &&
         std::all_of(etag.begin(), etag.end(), [](unsigned char c) { return std::isxdigit(c) != 0; });
}

HubFile parse_file(const Json& entry) {
  HubFile file;
  file.path = entry.value("rfilename", "");
  if (!stays_inside(file.path)) refuse_listing(fmt::format("the path '{}' leaves the folder", file.path));
  if (entry.contains("size") && entry["size"].is_number_integer())
    file.size = entry["size"].get<std::int64_t>();
  if (entry.contains("blobId") && entry["blobId"].is_string()) file.etag = entry["blobId"].get<std::string>();
  if (entry.contains("lfs") && entry["lfs"].is_object()) {
    file.etag = entry["lfs"].value("sha256", "");
    file.size = entry["lfs"].value("size", file.size);
  }
  if (!is_hash(file.etag)) file.etag.clear();
  return file;
}

// W/"abc" -> abc
std::string bare_etag(std::string etag) {
  if (etag.starts_with("W/")) etag.erase(0, 2);
  if (etag.size() >= 2 && etag.front() == '"' && etag.back() == '"') etag = etag.substr(1, etag.size() - 2);
  return etag;
}

bool ends_with_any(const std::string& path, std::initializer_list<std::string_view> endings) {
  return std::any_of(endings.begin(), endings.end(),
                     [&](std::string_view end) { return path.ends_with(end); });
}

bool is_needed(const std::string& path) {
  // Folders hold other precisions, ONNX or original checkpoints; a model's own files lie at the top.
  if (path.find('/') != std::string::npos) return false;
  return ends_with_any(path, {".safetensors", ".json", ".jinja", ".model", ".txt", ".py", ".tiktoken"});
}

}  // namespace

HttpResponse request_revision(HubConnection& hub, const HubRepo& repo, int max_attempts) {
  return hub.ask(max_attempts, "GET",
                 fmt::format("{}/api/{}/revision/{}?blobs=true", hub.options().endpoint, repo.api_path(),
                             escape_name(hub.options().revision)));
}

HubRevision parse_revision(const std::string& body) {
  const Json json = Json::parse(body, nullptr, false);
  if (!json.is_object() || !json.contains("siblings") || !json["siblings"].is_array())
    refuse_listing("it has no list of files");
  try {
    HubRevision revision;
    revision.commit = json.value("sha", "");
    if (!is_commit_hash(revision.commit)) refuse_listing("it names no commit");
    for (const Json& entry : json["siblings"]) revision.files.push_back(parse_file(entry));
    return revision;
  } catch (const Json::exception& error) {
    refuse_listing(error.what());
  }
}

std::string file_url(const HubOptions& options, const HubRepo& repo, const std::string& revision,
                     const std::string& path) {
  return fmt::format("{}/{}/resolve/{}/{}", options.endpoint, repo.page_path(), escape_name(revision),
                     escape_path(path));
}

void complete_metadata(HubConnection& hub, const HubRepo& repo, const std::string& commit, HubFile& file) {
  if (!file.etag.empty() && file.size >= 0) return;
  // The hub's own headers come with the redirect, before a CDN answers: X-Linked-* of the first response.
  HttpClient http(hub.options().http);
  HttpRequest request{"HEAD", file_url(hub.options(), repo, commit, file.path), {}, {}};
  if (!hub.options().token.empty()) request.headers.push_back("Authorization: Bearer " + hub.options().token);
  const HttpResponse response = http.send(request);
  if (response.status == 0 || response.status >= 400) refuse_answer(response, repo, hub.options());
  std::string etag = bare_etag(response.header("X-Linked-ETag"));
  if (etag.empty()) etag = bare_etag(response.header("ETag"));
  if (!is_hash(etag))
    throw Error(fmt::format("{} does not say what {} should contain (no usable ETag)", hub.options().endpoint,
                            file.path),
                "Use a hub that sends X-Linked-ETag or git's hash, or download the folder by other means.");
  file.etag = etag;
  std::string size = response.header("X-Linked-Size");
  if (size.empty() && response.status == 200) size = response.header("Content-Length");
  if (!size.empty()) file.size = std::atoll(size.c_str());
}

std::vector<HubFile> select_needed(const HubRepo& repo, const std::vector<HubFile>& files) {
  std::vector<HubFile> needed;
  std::copy_if(files.begin(), files.end(), std::back_inserter(needed),
               [](const HubFile& file) { return is_needed(file.path); });
  const auto any = [&](std::string_view ending) {
    return std::any_of(files.begin(), files.end(),
                       [&](const HubFile& file) { return file.path.ends_with(ending); });
  };
  const bool has_weights = std::any_of(
      needed.begin(), needed.end(), [](const HubFile& file) { return file.path.ends_with(".safetensors"); });
  if (has_weights) return needed;
  std::string remedy = "Choose a model with *.safetensors files.";
  if (any(".gguf")) remedy = "It has GGUF files: download one of them and give it as MODEL.";
  if (any(".bin") || any(".pth"))
    remedy =
        "Its weights are pickled, which can run code when read. Convert them where you trust them: "
        "AutoModelForCausalLM.from_pretrained(REPO).save_pretrained(DIR, safe_serialization=True).";
  throw Error(fmt::format("{} has no safetensors", repo.id), remedy);
}

}  // namespace lmdeploy::client
