#include "client/hub_cache.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "base/log.h"

namespace lmdeploy::client {
namespace {

namespace fs = std::filesystem;

// The weight files that a snapshot must have, from its index; a single file without one.
std::set<std::string> weight_files(const fs::path& snapshot) {
  std::ifstream in(snapshot / "model.safetensors.index.json");
  if (!in) return {"model.safetensors"};
  const nlohmann::json index = nlohmann::json::parse(in, nullptr, false);
  std::set<std::string> files;
  if (index.is_object() && index.contains("weight_map") && index["weight_map"].is_object())
    for (const auto& [tensor, file] : index["weight_map"].items())
      if (file.is_string()) files.insert(file.get<std::string>());
  return files;
}

void make_folders(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error)
    throw Error(fmt::format("cannot make the folder {}: {}", folder.string(), error.message()),
                "Choose another place with --download-dir or HF_HOME.");
}

}  // namespace

HubCache::HubCache(const fs::path& cache_dir, const HubRepo& repo)
    : repo_(cache_dir / repo.cache_folder()), locks_(cache_dir / ".locks" / repo.cache_folder()) {}

void HubCache::link(const std::string& commit, const std::string& path, const std::string& etag) const {
  const fs::path target = snapshot(commit) / path;
  if (fs::exists(target)) return;
  make_folders(target.parent_path());
  std::error_code error;
  fs::remove(target, error);  // a link whose blob was deleted
  fs::create_symlink(fs::relative(blob(etag), target.parent_path()), target, error);
  if (error && !fs::exists(target)) fs::copy_file(blob(etag), target);  // a file system without links
}

std::optional<std::string> HubCache::find_commit(const std::string& revision) const {
  if (is_commit_hash(revision)) return revision;
  std::ifstream in(repo_ / "refs" / revision);
  std::string commit;
  if (!(in >> commit) || !is_commit_hash(commit)) return std::nullopt;
  return commit;
}

void HubCache::write_ref(const std::string& revision, const std::string& commit) const {
  if (is_commit_hash(revision)) return;
  const fs::path ref = repo_ / "refs" / revision;
  make_folders(ref.parent_path());
  std::ofstream(ref) << commit;
}

std::optional<fs::path> HubCache::find_complete(const std::string& revision) const {
  const std::optional<fs::path> folder = find_with(revision, "config.json");
  if (!folder) return std::nullopt;
  const std::set<std::string> files = weight_files(*folder);
  const bool complete =
      !files.empty() && std::all_of(files.begin(), files.end(),
                                    [&](const std::string& file) { return fs::exists(*folder / file); });
  return complete ? folder : std::nullopt;
}

std::optional<fs::path> HubCache::find_with(const std::string& revision, const std::string& path) const {
  const std::optional<std::string> commit = find_commit(revision);
  if (!commit || !fs::exists(snapshot(*commit) / path)) return std::nullopt;
  return snapshot(*commit);
}

FileLock::FileLock(const fs::path& path) {
  make_folders(path.parent_path());
  fd_ = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd_ < 0)
    throw Error(fmt::format("cannot open {}: {}", path.string(), std::strerror(errno)),
                "Choose another place with --download-dir or HF_HOME.");
  if (flock(fd_, LOCK_EX | LOCK_NB) == 0) return;
  if (errno == EWOULDBLOCK) {
    log::warn("another process downloads the same file; waiting for it ({})", path.string());
    while (flock(fd_, LOCK_EX) != 0 && errno == EINTR) {
    }
  } else {
    log::warn("{} cannot be locked ({}): do not download it twice at once", path.string(),
              std::strerror(errno));
  }
}

FileLock::~FileLock() {
  close(fd_);
}

bool is_commit_hash(const std::string& revision) {
  return revision.size() == 40 &&
         std::all_of(revision.begin(), revision.end(), [](unsigned char c) { return std::isxdigit(c) != 0; });
}

}  // namespace lmdeploy::client
