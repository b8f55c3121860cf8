#include "client/hub_headers.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "client/hub_api.h"
#include "client/hub_cache.h"
#include "client/hub_range.h"

namespace lmdeploy::client {
namespace {

// Most headers of safetensors files are shorter; a longer one takes a second request.
constexpr std::int64_t kFirstBytes = 64 << 10;
constexpr std::int64_t kLengthBytes = 8;  // the header's length stands before it, little-endian
constexpr std::int64_t kMaxHeaderBytes = 100'000'000;
constexpr std::int64_t kMaxTextBytes = 64 << 20;  // of a JSON file

class HeaderFetcher {
 public:
  HeaderFetcher(const HubRepo& repo, const HubOptions& options)
      : repo_(repo), options_(options), hub_(options) {}

  std::vector<HubFileStart> run() {
    const HttpResponse listing = request_revision(hub_, repo_, options_.max_attempts);
    if (listing.status != 200 || !listing.failure.empty()) refuse_answer(listing, repo_, options_);
    HubRevision revision = parse_revision(listing.body);
    commit_ = revision.commit;
    std::vector<HubFileStart> starts;
    for (HubFile& file : select_needed(repo_, revision.files)) {
      complete_metadata(hub_, repo_, commit_, file);
      starts.push_back({file.path, std::max<std::int64_t>(file.size, 0), begin_of(file)});
    }
    return starts;
  }

 private:
  std::string begin_of(const HubFile& file) {
    if (file.path.ends_with(".safetensors")) return safetensors_header(file);
    const bool tells_shape = file.path == "config.json" || file.path.ends_with(".safetensors.index.json");
    return tells_shape ? first_bytes(file, std::min(file.size, kMaxTextBytes)) : std::string();
  }

  std::string safetensors_header(const HubFile& file) {
    std::string begin = first_bytes(file, std::min(file.size, kFirstBytes));
    std::uint64_t length = 0;
    if (begin.size() >= sizeof length) std::memcpy(&length, begin.data(), sizeof length);
    if (length > static_cast<std::uint64_t>(std::min(kMaxHeaderBytes, file.size)))
      throw Error(fmt::format("{} of {} does not begin as a safetensors file does", file.path, repo_.id),
                  "The repository is damaged, or HF_ENDPOINT is no model hub.");
    const std::int64_t end = kLengthBytes + static_cast<std::int64_t>(length);
    if (std::ssize(begin) < end) begin = first_bytes(file, end);
    begin.resize(static_cast<std::size_t>(std::min<std::int64_t>(end, std::ssize(begin))));
    return begin;
  }

  std::string first_bytes(const HubFile& file, std::int64_t count) {
    std::string bytes = fetch_first_bytes(hub_, repo_, commit_, file.path, count);
    if (std::ssize(bytes) < count)
      throw Error(fmt::format("{} of {} ends before its header does", file.path, repo_.id),
                  "Try again, or download the folder by other means.");
    return bytes;
  }

  HubRepo repo_;
  const HubOptions& options_;
  HubConnection hub_;
  std::string commit_;
};

}  // namespace

std::vector<HubFileStart> fetch_model_headers(const std::string& repo_id, const HubOptions& options) {
  if (options.offline) refuse_offline({repo_id}, options, "ask for it");
  return HeaderFetcher({repo_id}, options).run();
}

std::filesystem::path find_downloaded(const std::string& repo_id, const HubOptions& options) {
  return HubCache(options.cache_dir, {repo_id}).find_complete(options.revision).value_or("");
}

}  // namespace lmdeploy::client
