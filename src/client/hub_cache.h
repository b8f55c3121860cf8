#pragma once
#include <filesystem>
#include <optional>
#include <string>

#include "client/hub_repo.h"

namespace lmdeploy::client {

// One repository in the hub's cache layout (of a data set datasets--org--name):
//   models--org--name/refs/<revision>            the commit that a branch or tag last stood for
//   models--org--name/blobs/<etag>               contents, named by hash
//   models--org--name/snapshots/<commit>/<path>  links to blobs
//   .locks/models--org--name/<etag>.lock         held while a blob is written
class HubCache {
 public:
  HubCache(const std::filesystem::path& cache_dir, const HubRepo& repo);

  std::filesystem::path blob(const std::string& etag) const { return repo_ / "blobs" / etag; }
  std::filesystem::path incomplete(const std::string& etag) const {
    return repo_ / "blobs" / (etag + ".incomplete");
  }
  std::filesystem::path lock(const std::string& etag) const { return locks_ / (etag + ".lock"); }
  std::filesystem::path snapshot(const std::string& commit) const { return repo_ / "snapshots" / commit; }

  // Makes snapshots/<commit>/<path> lead to the blob. path: relative, checked by the caller.
  void link(const std::string& commit, const std::string& path, const std::string& etag) const;

  // The commit that `revision` stood for when it was last complete here; a commit stands for itself.
  std::optional<std::string> find_commit(const std::string& revision) const;
  void write_ref(const std::string& revision, const std::string& commit) const;

  // The snapshot of `revision` if it has a configuration and all weights.
  std::optional<std::filesystem::path> find_complete(const std::string& revision) const;
  // The snapshot of `revision` if it has that file.
  std::optional<std::filesystem::path> find_with(const std::string& revision, const std::string& path) const;

  const std::filesystem::path& folder() const noexcept { return repo_; }

 private:
  std::filesystem::path repo_, locks_;
};

// An exclusive lock on a file, kept until destruction; waits for other processes.
class FileLock {
 public:
  explicit FileLock(const std::filesystem::path& path);
  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

 private:
  int fd_;
};

bool is_commit_hash(const std::string& revision);  // 40 hexadecimal digits

}  // namespace lmdeploy::client
