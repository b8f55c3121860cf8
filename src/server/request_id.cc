#include "server/request_id.h"

#include <algorithm>
#include <cctype>
#include <random>

namespace lmdeploy {

constexpr std::size_t kMaxRequestIdLen = 128;

std::string random_id(int num_digits) {
  std::random_device random;  // getrandom: no state to share between threads
  std::string id;
  while (static_cast<int>(id.size()) < num_digits) {
    for (unsigned bits = random(), i = 0; i < 8; ++i, bits >>= 4) id += "0123456789abcdef"[bits & 15];
  }
  id.resize(static_cast<std::size_t>(num_digits));
  return id;
}

std::string choose_request_id(const std::string* from_client) {
  const auto is_plain = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
           std::string_view("-_.:").find(c) != std::string_view::npos;
  };
  if (from_client != nullptr && !from_client->empty() && from_client->size() <= kMaxRequestIdLen &&
      std::all_of(from_client->begin(), from_client->end(), is_plain))
    return *from_client;
  return "req-" + random_id(24);
}

}  // namespace lmdeploy
