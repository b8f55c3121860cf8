#include "client/hub_file.h"

#include <array>
#include <charconv>
#include <fstream>

#include "base/error.h"
#include "base/log.h"
#include "client/digest.h"
#include "client/partial_file.h"

namespace lmdeploy::client {
namespace {

namespace fs = std::filesystem;

// The first byte that a 206 carries ("Content-Range: bytes 100-199/200"); -1 where it does not say.
std::int64_t range_start(const HttpResponse& head) {
  const std::string range = head.header("Content-Range");
  constexpr std::string_view kUnit = "bytes ";
  std::int64_t start = -1;
  if (range.starts_with(kUnit))
    std::from_chars(range.data() + kUnit.size(), range.data() + range.size(), start);
  return start;
}

std::string hash_of(const fs::path& path, const HubFile& file, std::int64_t size) {
  constexpr std::size_t kSha256Digits = 64;
  Digest digest = file.etag.size() == kSha256Digits ? Digest::sha256() : Digest::git_blob(size);
  std::ifstream in(path, std::ios::binary);
  std::array<char, 1 << 16> bytes;
  while (in.read(bytes.data(), bytes.size()) || in.gcount() > 0)
    digest.update({bytes.data(), static_cast<std::size_t>(in.gcount())});
  return digest.finish();
}

class Downloader {
 public:
  Downloader(HubConnection& hub, const FileDownload& download)
      : hub_(hub), download_(download), partial_(download.incomplete) {}

  void run() {
    report(partial_.size());
    for (int num_wrong = 0; fetch(); ++num_wrong) {
      partial_.sync();
      if (hash_of(download_.incomplete, download_.file, partial_.size()) == download_.file.etag) {
        fs::rename(download_.incomplete, download_.blob);
        return;
      }
      restart();
      if (num_wrong == 1)
        throw Error(fmt::format("{} came twice with contents that are not what the hub lists", download_.url),
                    "Check HF_ENDPOINT and any proxy in between; nothing of it was kept.");
      log::warn("{}: the contents do not fit their hash; downloading it again", download_.file.path);
    }
  }

 private:
  // Until all bytes are there; false when told to stop.
  bool fetch() {
    for (int attempt = 1; !complete(); ++attempt) {
      const std::int64_t before = partial_.size();
      const HttpResponse response = request_rest();
      if (hub_.stopped()) return false;
      const bool success = response.status == 200 || response.status == 206;
      // Without a known size the end of the transfer is the end of the file.
      if (success && response.failure.empty() && download_.file.size < 0) return true;
      if (response.status == 416) restart();
      if (partial_.size() > before) attempt = 0;
      const bool hopeless = !success && response.status != 416 && !may_pass(response);
      if (!complete() && (hopeless || attempt >= hub_.options().max_attempts)) give_up(response);
      if (!complete()) wait(std::max(attempt, 1), response);
    }
    return true;
  }

  bool complete() const { return download_.file.size >= 0 && partial_.size() == download_.file.size; }

  HttpResponse request_rest() {
    if (download_.file.size >= 0 && partial_.size() > download_.file.size) restart();
    const std::int64_t offset = partial_.size();
    std::vector<std::string> headers;
    if (offset > 0) headers = {fmt::format("Range: bytes={}-", offset)};
    bool first = true;
    return hub_.exchange("GET", download_.url, headers, [&](const HttpResponse& head, std::string_view data) {
      if (head.status != 200 && head.status != 206) return true;  // an error page is not the file
      if (std::exchange(first, false) && offset > 0) {
        if (head.status == 206 && range_start(head) != offset) return false;
        if (head.status == 200) restart();  // it ignores ranges, or the file there is another one now
      }
      partial_.append(data);
      report(static_cast<std::int64_t>(data.size()));
      return download_.file.size < 0 || partial_.size() <= download_.file.size;
    });
  }

  void restart() {
    report(-partial_.size());
    partial_.truncate();
  }

  void wait(int attempt, const HttpResponse& response) const {
    log::warn("{}: {} after {} bytes; going on ({} of {})", download_.file.path,
              response.failure.empty() ? fmt::format("status {}", response.status) : response.failure,
              partial_.size(), attempt, hub_.options().max_attempts);
    hub_.pause(attempt, response);
  }

  [[noreturn]] void give_up(const HttpResponse& response) const {
    if (response.status != 200 && response.status != 206)
      refuse_answer(response, download_.repo, hub_.options());
    throw Error(fmt::format("{} was cut off {} times without a new byte: {}", download_.url,
                            hub_.options().max_attempts,
                            response.failure.empty() ? "it ends too early" : response.failure),
                "Start again: what was downloaded is kept.");
  }

  void report(std::int64_t num_bytes) const {
    if (download_.on_bytes && num_bytes != 0) download_.on_bytes(num_bytes);
  }

  HubConnection& hub_;
  const FileDownload& download_;
  PartialFile partial_;
};

}  // namespace

void download_file(HubConnection& hub, const FileDownload& download) {
  Downloader(hub, download).run();
}

}  // namespace lmdeploy::client
