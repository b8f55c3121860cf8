#include "server/response_store.h"

#include <algorithm>

namespace lmdeploy {

ResponseStore::Place::~Place() {
  if (!is_committed_) store_.erase(owner_, id_);
}

void ResponseStore::Place::commit(std::string object, std::string messages) {
  is_committed_ = true;
  const std::lock_guard lock(store_.mutex_);
  const auto owner = store_.owners_.find(owner_);
  if (owner == store_.owners_.end()) return;
  const auto place = owner->second.by_id.find(id_);
  if (place == owner->second.by_id.end()) return;
  Entry& entry = *place->second;
  const std::int64_t num_bytes = entry.num_bytes();
  entry.response = {.object = std::move(object), .messages = std::move(messages), .is_finished = true};
  owner->second.num_bytes += entry.num_bytes() - num_bytes;
  store_.num_bytes_ += entry.num_bytes() - num_bytes;
  store_.keep_limits();
}

std::unique_ptr<ResponseStore::Place> ResponseStore::begin(const std::string& owner, const std::string& id,
                                                           std::string object) {
  const std::lock_guard lock(mutex_);
  Owner& books = owners_[owner];
  books.entries.push_front({.id = id, .response = {.object = std::move(object), .messages = {}}});
  books.by_id.emplace(id, books.entries.begin());
  books.num_bytes += books.entries.front().num_bytes();
  num_bytes_ += books.entries.front().num_bytes();
  ++num_responses_;
  keep_limits();
  return std::make_unique<Place>(*this, owner, id);
}

std::optional<ResponseStore::Response> ResponseStore::find(const std::string& owner, const std::string& id) {
  const std::lock_guard lock(mutex_);
  const auto books = owners_.find(owner);
  if (books == owners_.end()) return std::nullopt;
  const auto place = books->second.by_id.find(id);
  if (place == books->second.by_id.end()) return std::nullopt;
  auto& entries = books->second.entries;
  entries.splice(entries.begin(), entries, place->second);
  return place->second->response;
}

bool ResponseStore::erase(const std::string& owner, const std::string& id) {
  const std::lock_guard lock(mutex_);
  const auto books = owners_.find(owner);
  if (books == owners_.end()) return false;
  const auto place = books->second.by_id.find(id);
  if (place == books->second.by_id.end()) return false;
  drop(books, place->second);
  return true;
}

std::int32_t ResponseStore::num_responses() const {
  const std::lock_guard lock(mutex_);
  return num_responses_;
}

std::int64_t ResponseStore::Entry::num_bytes() const {
  return static_cast<std::int64_t>(sizeof(Entry) + 2 * id.size() + response.object.size() +
                                   response.messages.size());
}

void ResponseStore::drop(Owners::iterator owner, std::list<Entry>::iterator entry) {
  Owner& books = owner->second;
  books.num_bytes -= entry->num_bytes();
  num_bytes_ -= entry->num_bytes();
  --num_responses_;
  books.by_id.erase(entry->id);
  books.entries.erase(entry);
  if (books.entries.empty()) owners_.erase(owner);
}

// False where all that are left are being made.
bool ResponseStore::drop_oldest() {
  auto richest = owners_.end();
  auto oldest = std::list<Entry>::iterator();
  for (auto owner = owners_.begin(); owner != owners_.end(); ++owner) {
    if (richest != owners_.end() && owner->second.num_bytes <= richest->second.num_bytes) continue;
    auto& entries = owner->second.entries;
    const auto finished = std::find_if(entries.rbegin(), entries.rend(),
                                       [](const Entry& entry) { return entry.response.is_finished; });
    if (finished == entries.rend()) continue;
    richest = owner;
    oldest = std::prev(finished.base());
  }
  if (richest == owners_.end()) return false;
  drop(richest, oldest);
  return true;
}

void ResponseStore::keep_limits() {
  while ((num_responses_ > limits_.max_responses || num_bytes_ > limits_.max_bytes) && drop_oldest())
    continue;
}

}  // namespace lmdeploy
