#pragma once
// Answers of /v1/responses that the server keeps, to be read again and to be gone on with.
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

namespace lmdeploy {

struct ResponseStoreLimits {
  std::int32_t max_responses = 4096;
  std::int64_t max_bytes = std::int64_t{256} << 20;  // of all texts together
};

// Where there are more than the limits allow, the owner who has most bytes loses the one that he has not used
// for longest; one that is being made stays. Nobody finds another owner's. From any thread; outlives its
// places.
class ResponseStore {
 public:
  explicit ResponseStore(const ResponseStoreLimits& limits) : limits_(limits) {}

  struct Response {
    std::string object;    // JSON, as the API shows it
    std::string messages;  // JSON of the conversation up to its answer; empty: nothing can follow
    bool is_finished = false;
  };

  // Of a response that is being made. Without commit() it is forgotten in the end.
  class Place {
   public:
    Place(ResponseStore& store, std::string owner, std::string id)
        : store_(store), owner_(std::move(owner)), id_(std::move(id)) {}
    ~Place();
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;

    void commit(std::string object, std::string messages);  // nothing where it was erased meanwhile

   private:
    ResponseStore& store_;
    const std::string owner_, id_;
    bool is_committed_ = false;
  };

  // `id`: a new one; `object`: the response so far.
  std::unique_ptr<Place> begin(const std::string& owner, const std::string& id, std::string object);

  std::optional<Response> find(const std::string& owner, const std::string& id);  // counts as a use
  bool erase(const std::string& owner, const std::string& id);                    // false: there is none

  std::int32_t num_responses() const;

 private:
  struct Entry {
    std::string id;
    Response response;

    std::int64_t num_bytes() const;
  };
  struct Owner {
    std::list<Entry> entries;  // used last comes first
    std::unordered_map<std::string, std::list<Entry>::iterator> by_id;
    std::int64_t num_bytes = 0;
  };
  using Owners = std::map<std::string, Owner>;

  void drop(Owners::iterator owner, std::list<Entry>::iterator entry);
  bool drop_oldest();
  void keep_limits();

  const ResponseStoreLimits limits_;
  mutable std::mutex mutex_;
  Owners owners_;  // under mutex_, as all below; none without entries
  std::int64_t num_bytes_ = 0;
  std::int32_t num_responses_ = 0;
};

}  // namespace lmdeploy
