// Stop strings and a text in pieces, against the plain search: the same match, and nothing held back that
// cannot begin one.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "text/stop_matcher.h"

namespace {

using lmdeploy::StopMatcher;

struct Input {
  std::vector<std::string> stops;
  std::string text;
  std::size_t piece_len = 1;
};

// LEN STOP LEN STOP ... 0 PIECE_LEN TEXT; lengths below 8, and few letters, so that stop strings overlap.
Input parse(std::string_view bytes) {
  Input input;
  const auto take = [&]() -> std::size_t {
    if (bytes.empty()) return 0;
    const auto byte = static_cast<std::uint8_t>(bytes.front());
    bytes.remove_prefix(1);
    return byte;
  };
  for (std::size_t len = take() % 8; len > 0 && input.stops.size() < 16; len = take() % 8) {
    input.stops.emplace_back(bytes.substr(0, len));
    if (input.stops.back().empty()) input.stops.pop_back();
    bytes.remove_prefix(std::min(len, bytes.size()));
  }
  input.piece_len = take() % 16 + 1;
  input.text = bytes;
  return input;
}

struct Found {
  std::size_t end;
  std::size_t len;
};

// The first place where a stop string ends, and the longest of those that end there.
std::optional<Found> search(const Input& input) {
  for (std::size_t end = 1; end <= input.text.size(); ++end) {
    std::size_t longest = 0;
    for (const std::string& stop : input.stops)
      if (std::string_view(input.text).substr(0, end).ends_with(stop))
        longest = std::max(longest, stop.size());
    if (longest > 0) return Found{end, longest};
  }
  return std::nullopt;
}

std::size_t longest_beginning(const Input& input, std::string_view text) {
  std::size_t longest = 0;
  for (const std::string& stop : input.stops)
    for (std::size_t len = 1; len <= std::min(stop.size(), text.size()); ++len)
      if (text.ends_with(std::string_view(stop).substr(0, len))) longest = std::max(longest, len);
  return longest;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Input input = parse({reinterpret_cast<const char*>(data), size});
  const std::optional<Found> expected = search(input);
  StopMatcher matcher(input.stops);
  const std::string_view text = input.text;
  for (std::size_t begin = 0; begin < text.size(); begin += input.piece_len) {
    const auto match = matcher.feed(text.substr(begin, input.piece_len));
    const std::size_t end = std::min(begin + input.piece_len, text.size());
    if (match) {
      CHECK(expected && begin + match->end == expected->end && match->stop_len == expected->len);
      return 0;
    }
    CHECK(!expected || expected->end > end);
    CHECK(matcher.held_len() == longest_beginning(input, text.substr(0, end)));
  }
  CHECK(!expected);
  return 0;
}
