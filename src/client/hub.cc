#include "client/hub.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/log.h"
#include "base/mapped_file.h"
#include "client/hub_api.h"
#include "client/hub_cache.h"
#include "client/hub_file.h"
#include "client/hub_range.h"

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

// Files of one revision on their way into the cache.
class Snapshot {
 public:
  Snapshot(const HubRepo& repo, const HubOptions& options, const HubCache& cache, std::string commit,
           std::vector<HubFile> files)
      : repo_(repo), options_(options), cache_(cache), commit_(std::move(commit)), files_(std::move(files)) {}

  fs::path fetch() {
    HubConnection hub(options_);
    for (HubFile& file : files_) complete_metadata(hub, repo_, commit_, file);
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
      throw Error(fmt::format("{} needs {:.1f} GB more and {} has {:.1f} GB free", repo_.id,
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
      download_file(hub,
                    {repo_, file_url(options_, repo_, commit_, file.path), file, cache_.incomplete(file.etag),
                     cache_.blob(file.etag), [&](std::int64_t num_bytes) { progress.add_bytes(num_bytes); }});
      if (hub.stopped()) return;
      progress.add_file();
    }
    cache_.link(commit_, file.path, file.etag);
  }

  const HubRepo& repo_;
  const HubOptions& options_;
  const HubCache& cache_;
  std::string commit_;
  std::vector<HubFile> files_;
};

// Chooses the wanted files of a listing. Throws Error where they are not there.
using Select = std::function<std::vector<HubFile>(const std::vector<HubFile>& files)>;

// cached: the folder where all of it is in the cache already.
fs::path update(const HubRepo& repo, const HubOptions& options, const HubCache& cache,
                const std::optional<fs::path>& cached, const Select& select) {
  if (options.offline) {
    if (cached) return *cached;
    refuse_offline(repo, options, "download it");
  }
  HubConnection hub(options);
  // Somebody without a network should not wait for what is here already.
  const HttpResponse listing = request_revision(hub, repo, cached ? 1 : options.max_attempts);
  if (listing.status != 200 || !listing.failure.empty()) {
    if (!cached || !may_pass(listing)) refuse_answer(listing, repo, options);
    log::warn("{} cannot be asked for news; using what is in {}", options.endpoint, cached->string());
    return *cached;
  }
  HubRevision revision = parse_revision(listing.body);
  return Snapshot(repo, options, cache, std::move(revision.commit), select(revision.files)).fetch();
}

std::vector<HubFile> select_one(const HubRepo& repo, const HubOptions& options, const std::string& path,
                                const std::vector<HubFile>& files) {
  for (const HubFile& file : files)
    if (file.path == path) return {file};
  throw Error(fmt::format("{} has no file {} in its revision '{}'", repo.id, path, options.revision),
              fmt::format("See its files at {}/{}/tree/{}.", options.endpoint, repo.page_path(),
                          escape_name(options.revision)));
}

}  // namespace

fs::path download_model(const std::string& repo_id, const HubOptions& options) {
  const HubRepo repo{repo_id};
  const HubCache cache(options.cache_dir, repo);
  return update(repo, options, cache, cache.find_complete(options.revision),
                [&](const std::vector<HubFile>& files) { return select_needed(repo, files); });
}

fs::path download_one_file(const HubRepo& repo, const std::string& path, const HubOptions& options) {
  const HubCache cache(options.cache_dir, repo);
  const auto select = [&](const std::vector<HubFile>& files) {
    return select_one(repo, options, path, files);
  };
  return update(repo, options, cache, cache.find_with(options.revision, path), select) / path;
}

std::string download_first_bytes(const HubRepo& repo, const std::string& path, std::int64_t count,
                                 const HubOptions& options) {
  const auto cached = HubCache(options.cache_dir, repo).find_with(options.revision, path);
  if (cached)
    return std::string(MappedFile(*cached / path).text().substr(0, static_cast<std::size_t>(count)));
  if (options.offline) refuse_offline(repo, options, "download it");
  HubConnection hub(options);
  return fetch_first_bytes(hub, repo, options.revision, path, count);
}

}  // namespace lmdeploy::client
