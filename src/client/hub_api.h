#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "client/hub_connection.h"

namespace lmdeploy::client {

// One file of a revision.
struct HubFile {
  std::string path;        // relative, without . and ..
  std::int64_t size = -1;  // bytes; -1: unknown
  std::string etag;        // SHA-256 of an LFS file, git's SHA-1 of a small one; names the blob
};

struct HubRevision {
  std::string commit;
  std::vector<HubFile> files;
};

// The answer to a request for the listing of a repository's revision. max_attempts: where the fault may pass.
HttpResponse request_revision(HubConnection& hub, const HubRepo& repo, int max_attempts);

// Reads such an answer. Throws Error where it is no listing, or names a path that leaves the folder.
HubRevision parse_revision(const std::string& body);

// revision: as a rule the commit that a listing named.
std::string file_url(const HubOptions& options, const HubRepo& repo, const std::string& revision,
                     const std::string& path);

// Asks for the size and hash of a file that the listing left open. Throws Error.
void complete_metadata(HubConnection& hub, const HubRepo& repo, const std::string& commit, HubFile& file);

// The files that running the model needs. Throws Error where there are no safetensors.
std::vector<HubFile> select_needed(const HubRepo& repo, const std::vector<HubFile>& files);

}  // namespace lmdeploy::client
