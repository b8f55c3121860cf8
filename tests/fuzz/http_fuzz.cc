// A connection's bytes, in pieces whose length the first byte says: requests or an error, and never a read
// without progress.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string_view>

#include "server/http_parser.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using lmdeploy::HttpParser;
  if (size == 0) return 0;
  const std::size_t piece_len = data[0] + std::size_t{1};
  std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const lmdeploy::HttpLimits limits{.max_header_bytes = 512, .max_body_bytes = 512};
  std::string input;
  auto parser = std::make_unique<HttpParser>(limits);
  while (true) {
    const auto progress = parser->advance(input);
    if (progress == HttpParser::Progress::failed) return 0;
    if (progress == HttpParser::Progress::header_done) continue;
    if (progress == HttpParser::Progress::done) {
      if (parser->request().body.size() > limits.max_body_bytes) std::abort();
      parser = std::make_unique<HttpParser>(limits);
      continue;
    }
    if (bytes.empty()) return 0;
    input += bytes.substr(0, piece_len);
    bytes.remove_prefix(std::min(piece_len, bytes.size()));
  }
}
