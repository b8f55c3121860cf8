#include "client/hub.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/log.h"
#include "client/hub_api.h"
#include "client/hub_cache.h"
#include "client/hub_file.h"

namespace lmdeploy::client {
namespace {

namespace fs = std::filesystem;

// Adds up what several threads report and passes it on.
class Progress {
 public:
  // What lies in the cache already counts as done, and is not reported.
  Progress(const HubOptions& options, const HubCache& cache, const std::vector<HubFile>& files)
      : options_(options) {
    state_.num_files = static_cast<int>(files.size());
    for (const HubFile& file : files) {
      state_.total_bytes += std::max<std::int64_t>(file.size, 0);
      if (!fs::exists(cache.blob(file.etag))) continue;
      state_.done_bytes += std::max<std::int64_t>(file.size, 0);
      ++state_.num_files_done;
    }
  }

  void add_bytes(std::int64_t num_bytes) { change(num_bytes, 0); }
  void add_file() { change(0, 1); }

 private:
  void change(std::int64_t num_bytes, int num_files) {
    const std::lock_guard lock(mutex_);
    state_.done_bytes += num_bytes;
    state_.num_files_done += num_files;
    if (options_.on_progress) options_.on_progress(state_);
  }

  const HubOptions& options_;
  std::mutex mutex_;
  HubProgress state_;
};

class Snapshot {
 public:
  Snapshot(const std::string& repo_id, const HubOptions& options, const HubCache& cache, HubRevision revision)
      : repo_id_(repo_id),
        options_(options),
        cache_(cache),
        commit_(std::move(revision.commit)),
        files_(select_needed(repo_id, revision.files)) {}

  fs::path fetch() {
    HubConnection hub(options_);
    for (HubFile& file : files_) complete_metadata(hub, repo_id_, commit_, file);
    check_space();
    Progress progress(options_, cache_, files_);
    fetch_all(progress);
    cache_.write_ref(options_.revision, commit_);
    return cache_.snapshot(commit_);
  }

 private:
  void check_space() const {
    std::int64_t missing = 0;
    for (const HubFile& file : files_) {
      std::error_code error;
      if (fs::exists(cache_.blob(file.etag))) continue;
      const auto partial = fs::file_size(cache_.incomplete(file.etag), error);
      missing += std::max<std::int64_t>(file.size, 0) - (error ? 0 : static_cast<std::int64_t>(partial));
    }
    std::error_code error;
    fs::create_directories(cache_.folder(), error);
    const fs::space_info space = fs::space(cache_.folder(), error);
    if (!error && missing > 0 && static_cast<std::uint64_t>(missing) > space.available)
      throw Error(fmt::format("{} needs {:.1f} GB more and {} has {:.1f} GB free", repo_id_,
                              static_cast<double>(missing) / 1e9, cache_.folder().string(),
                              static_cast<double>(space.available) / 1e9),
                  "Free space, or choose another place with --download-dir or HF_HOME.");
  }

  // Several threads take files from a shared counter; the first failure stops them all.
  void fetch_all(Progress& progress) {
    std::atomic<std::size_t> next{0};
    std::atomic<bool> failed{false};
    std::exception_ptr failure;
    std::mutex failure_mutex;
    const auto work = [&] {
      try {
        HubConnection hub(options_, [&] { return failed.load(); });
        for (std::size_t i; !failed && (i = next++) < files_.size();) fetch_one(hub, files_[i], progress);
      } catch (...) {
        const std::lock_guard lock(failure_mutex);
        if (!failed.exchange(true)) failure = std::current_exception();
      }
    };
    {
      std::vector<std::jthread> threads;
      const auto num_threads =
          std::min<std::size_t>(static_cast<std::size_t>(options_.num_parallel), files_.size());
      for (std::size_t i = 0; i < num_threads; ++i) threads.emplace_back(work);
    }
    if (failure) std::rethrow_exception(failure);
  }

  void fetch_one(HubConnection& hub, const HubFile& file, Progress& progress) {
    const FileLock lock(cache_.lock(file.etag));
    if (!fs::exists(cache_.blob(file.etag))) {
      download_file(hub, {repo_id_, file_url(options_, repo_id_, commit_, file.path), file,
                          cache_.incomplete(file.etag), cache_.blob(file.etag),
                          [&](std::int64_t num_bytes) { progress.add_bytes(num_bytes); }});
      if (hub.stopped()) return;
      progress.add_file();
    }
    cache_.link(commit_, file.path, file.etag);
  }

  const std::string& repo_id_;
  const HubOptions& options_;
  const HubCache& cache_;
  std::string commit_;
  std::vector<HubFile> files_;
};

}  // namespace

fs::path download_model(const std::string& repo_id, const HubOptions& options) {
  const HubCache cache(options.cache_dir, repo_id);
  if (options.offline) {
    if (const auto folder = cache.find_complete(options.revision)) return *folder;
    throw Error(fmt::format("{} is not in {} and HF_HUB_OFFLINE forbids to download it", repo_id,
                            options.cache_dir.string()),
                "Unset HF_HUB_OFFLINE, or give the folder of a local copy as MODEL.");
  }
  HubConnection hub(options);
  const auto folder = cache.find_complete(options.revision);
  // Somebody without a network should not wait for what is here already.
  const HttpResponse listing = request_revision(hub, repo_id, folder ? 1 : options.max_attempts);
  if (listing.status != 200 || !listing.failure.empty()) {
    if (!folder || !may_pass(listing)) refuse_answer(listing, repo_id, options);
    log::warn("{} cannot be asked for news; using what is in {}", options.endpoint, folder->string());
    return *folder;
  }
  return Snapshot(repo_id, options, cache, parse_revision(listing.body)).fetch();
}

}  // namespace lmdeploy::client
