#pragma once
// Conversations that the server remembers (/v1/chat/interactive). What is kept is messages: the KV cache of a
// session is the prefix cache's affair, and where its blocks were taken they are computed again.
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <variant>

namespace lmdeploy {

struct SessionLimits {
  std::int32_t max_sessions = 4096;
  std::int64_t max_bytes = std::int64_t{256} << 20;  // of all messages together
  std::chrono::seconds idle_timeout{600};
};

// From any thread; outlives its turns.
class Sessions {
 public:
  using Json = nlohmann::ordered_json;
  using Clock = std::chrono::steady_clock;
  using Key = std::pair<std::string, std::int64_t>;  // the owner's name and the id that he chose

  explicit Sessions(const SessionLimits& limits) : limits_(limits) {}

  // A question and its answer in the making. No other turn of the session begins meanwhile; without commit()
  // the session stays as it was.
  class Turn {
   public:
    Turn(Sessions& sessions, Key key, Json messages, std::int64_t num_tokens)
        : sessions_(sessions),
          key_(std::move(key)),
          messages_(std::move(messages)),
          num_tokens_(num_tokens) {}
    ~Turn();
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

    const Json& messages() const { return messages_; }               // so far, oldest first
    std::int64_t num_history_tokens() const { return num_tokens_; }  // of the last prompt and its answer

    // The session from now on: all its messages, and how many tokens they came to.
    void commit(Json messages, std::int64_t num_tokens, Clock::time_point now);
    void end();  // the session is forgotten

   private:
    Sessions& sessions_;
    Key key_;
    Json messages_;
    std::int64_t num_tokens_;
    bool holds_session_ = true;
  };

  enum class Refusal : std::uint8_t {
    busy,  // another turn of the session runs
    full,  // too many sessions of others, none of which may be forgotten for this one
  };
  // Begins a turn of a session, which is made where there is none; then the owner's session that was idle for
  // longest makes room where there is none left.
  std::variant<std::unique_ptr<Turn>, Refusal> begin(const Key& key, Clock::time_point now);

  std::int32_t num_sessions() const;

 private:
  struct Session {
    Json messages = Json::array();
    std::int64_t num_tokens = 0;
    std::int64_t num_bytes = 0;
    Clock::time_point last_used = {};
    bool busy = false;
  };
  using Map = std::map<Key, Session>;

  bool commit(const Key& key, Json messages, std::int64_t num_tokens, Clock::time_point now);
  void release(const Key& key);
  void end(const Key& key);
  void forget(Map::iterator place);
  void drop_idle(Clock::time_point now);
  bool drop_oldest_of(const std::string& owner);  // false: all of his are busy, or there are none

  const SessionLimits limits_;
  mutable std::mutex mutex_;
  Map sessions_;  // under mutex_
  std::int64_t num_bytes_ = 0;
};

}  // namespace lmdeploy
