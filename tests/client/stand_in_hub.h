#pragma once
#include <deque>
#include <filesystem>
#include <map>
#include <mutex>
#include <string>

#include "client/hub.h"
#include "client/stand_in_server.h"

namespace lmdeploy::client {

// A hub with one repository of one revision: small files come from the hub itself, LFS files from a second
// host to which it redirects, as the real one does. Faults are queued per host and path.
class StandInHub {
 public:
  explicit StandInHub(HubRepo repo = {"org/model"}, std::string revision = "main");

  static constexpr const char* kCommit = "0123456789abcdef0123456789abcdef01234567";

  void add_file(const std::string& path, const std::string& content);
  void remove_file(const std::string& path) { files_.erase(path); }
  // The next answers of the listing, of a file on the hub, or of an LFS file on the second host.
  void next_listing(StandInReply reply) { faults_["listing"].push_back(std::move(reply)); }
  void next_file(const std::string& path, StandInReply reply) { faults_[path].push_back(std::move(reply)); }
  void ignore_ranges() { ignores_ranges_ = true; }
  void list_without_hashes() { lists_hashes_ = false; }

  static std::string etag_of(const std::string& path, const std::string& content);
  HubOptions options(const std::filesystem::path& cache_dir) const;

  // Of either host, for a file.
  std::vector<SeenRequest> requests_for(const std::string& path) const;

  StandInServer cdn;
  StandInServer hub;

 private:
  StandInReply answer_hub(const SeenRequest& request);
  StandInReply answer_cdn(const SeenRequest& request);
  StandInReply content(const std::string& path, const SeenRequest& request) const;
  std::string listing() const;
  bool take_fault(const std::string& key, StandInReply& reply);

  HubRepo repo_;
  std::string revision_;
  std::mutex mutex_;
  std::map<std::string, std::string> files_;
  std::map<std::string, std::deque<StandInReply>> faults_;
  bool ignores_ranges_ = false;
  bool lists_hashes_ = true;
};

}  // namespace lmdeploy::client
