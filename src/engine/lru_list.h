#pragma once
#include <cstdint>
#include <vector>

namespace lmdeploy {

// Some of the numbers [0, num_items) in the order in which they were added. Everything is O(1) and allocates
// nothing: links in an array, whose last entry stands before the oldest and after the newest.
class LruList {
 public:
  explicit LruList(std::int32_t num_items) : links_(static_cast<std::size_t>(num_items) + 1) { clear(); }

  std::int32_t size() const noexcept { return size_; }
  bool contains(std::int32_t item) const noexcept { return at(item).next >= 0; }
  std::int32_t oldest() const noexcept { return links_.back().next; }  // of a list that is not empty
  // The one added next after `item`; end() after the newest.
  std::int32_t newer(std::int32_t item) const noexcept { return at(item).next; }
  std::int32_t end() const noexcept { return static_cast<std::int32_t>(links_.size()) - 1; }

  void add_newest(std::int32_t item) noexcept {
    Link& border = links_.back();
    at(item) = {border.previous, end()};
    at(border.previous).next = item;
    border.previous = item;
    size_++;
  }
  void remove(std::int32_t item) noexcept {
    Link& link = at(item);
    at(link.previous).next = link.next;
    at(link.next).previous = link.previous;
    link = {};
    size_--;
  }
  void clear() noexcept {
    for (Link& link : links_) link = {};
    links_.back() = {end(), end()};
    size_ = 0;
  }

 private:
  struct Link {
    std::int32_t previous = -1;  // -1: not in the list
    std::int32_t next = -1;
  };
  Link& at(std::int32_t item) noexcept { return links_[static_cast<std::size_t>(item)]; }
  const Link& at(std::int32_t item) const noexcept { return links_[static_cast<std::size_t>(item)]; }

  std::vector<Link> links_;  // [num_items + 1]
  std::int32_t size_ = 0;
};

}  // namespace lmdeploy
