#include "server/sessions.h"

#include "base/error.h"
#include "base/log.h"
#include "server/json.h"

namespace lmdeploy {

Sessions::Turn::~Turn() {
  if (holds_session_) sessions_.release(key_);
}

void Sessions::Turn::commit(Json messages, std::int64_t num_tokens, Clock::time_point now) {
  if (holds_session_) holds_session_ = sessions_.commit(key_, std::move(messages), num_tokens, now);
}

void Sessions::Turn::end() {
  if (std::exchange(holds_session_, false)) sessions_.end(key_);
}

std::variant<std::unique_ptr<Sessions::Turn>, Sessions::Refusal> Sessions::begin(const Key& key,
                                                                                 Clock::time_point now) {
  const std::lock_guard lock(mutex_);
  drop_idle(now);
  auto place = sessions_.find(key);
  if (place == sessions_.end()) {
    if (std::ssize(sessions_) >= limits_.max_sessions && !drop_oldest_of(key.first)) return Refusal::full;
    place = sessions_.emplace(key, Session{}).first;
  }
  Session& session = place->second;
  if (session.busy) return Refusal::busy;
  session.busy = true;
  session.last_used = now;
  return std::make_unique<Turn>(*this, key, session.messages, session.num_tokens);
}

// False where there was no room and the session is forgotten.
bool Sessions::commit(const Key& key, Json messages, std::int64_t num_tokens, Clock::time_point now) {
  const std::lock_guard lock(mutex_);
  const auto place = sessions_.find(key);
  CHECK(place != sessions_.end(), "a session ended during its turn");
  Session& session = place->second;
  num_bytes_ -= session.num_bytes;
  session.num_bytes = static_cast<std::int64_t>(dump_json(messages).size());
  num_bytes_ += session.num_bytes;
  session.messages = std::move(messages);
  session.num_tokens = num_tokens;
  session.last_used = now;
  while (num_bytes_ > limits_.max_bytes && drop_oldest_of(key.first)) continue;
  if (num_bytes_ <= limits_.max_bytes) return true;
  log::warn("session {} is forgotten: the messages of all sessions have {} bytes, {} are allowed", key.second,
            num_bytes_, limits_.max_bytes);
  forget(place);
  return false;
}

// A session without a turn that was committed is none.
void Sessions::release(const Key& key) {
  const std::lock_guard lock(mutex_);
  const auto place = sessions_.find(key);
  CHECK(place != sessions_.end(), "a session ended during its turn");
  place->second.busy = false;
  if (place->second.messages.empty()) forget(place);
}

void Sessions::end(const Key& key) {
  const std::lock_guard lock(mutex_);
  const auto place = sessions_.find(key);
  CHECK(place != sessions_.end(), "a session ended during its turn");
  forget(place);
}

std::int32_t Sessions::num_sessions() const {
  const std::lock_guard lock(mutex_);
  return static_cast<std::int32_t>(sessions_.size());
}

void Sessions::forget(Map::iterator place) {
  num_bytes_ -= place->second.num_bytes;
  sessions_.erase(place);
}

void Sessions::drop_idle(Clock::time_point now) {
  for (auto place = sessions_.begin(); place != sessions_.end();) {
    const auto next = std::next(place);
    if (!place->second.busy && now - place->second.last_used >= limits_.idle_timeout) forget(place);
    place = next;
  }
}

bool Sessions::drop_oldest_of(const std::string& owner) {
  auto oldest = sessions_.end();
  for (auto place = sessions_.begin(); place != sessions_.end(); ++place) {
    if (place->first.first != owner || place->second.busy) continue;
    if (oldest == sessions_.end() || place->second.last_used < oldest->second.last_used) oldest = place;
  }
  if (oldest == sessions_.end()) return false;
  forget(oldest);
  return true;
}

}  // namespace lmdeploy
