#include "client/sse_parser.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace lmdeploy::client {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

using Events = std::vector<std::pair<std::string, std::string>>;

Events parse(const std::vector<std::string>& pieces) {
  Events events;
  SseParser parser([&](const SseEvent& event) { events.emplace_back(event.name, event.data); });
  for (const std::string& piece : pieces) parser.feed(piece);
  return events;
}

TEST(SseParser, ReadsNamesDataAndComments) {
  EXPECT_THAT(parse({": hello\n\nevent: error\ndata: a\ndata:b\nid: 7\n\ndata: c\n\n"}),
              ElementsAre(Pair("error", "a\nb"), Pair("message", "c")));
}

TEST(SseParser, DropsEventsWithoutDataAndAnUnfinishedOne) {
  EXPECT_THAT(parse({"event: ping\n\ndata: x\n\ndata: cut"}), ElementsAre(Pair("message", "x")));
}

TEST(SseParser, IsEqualForEverySplitAndLineEnd) {
  for (const std::string end : {"\n", "\r", "\r\n"}) {
    const std::string text =
        "\xEF\xBB\xBF"
        "data: {\"a\": \"ä\"}" +
        end + end + "event: e" + end + "data:" + end + end;
    const Events whole = parse({text});
    ASSERT_THAT(whole, ElementsAre(Pair("message", "{\"a\": \"ä\"}"), Pair("e", "")));
    for (std::size_t i = 0; i <= text.size(); ++i)
      EXPECT_EQ(parse({text.substr(0, i), text.substr(i)}), whole);
  }
}

}  // namespace
}  // namespace lmdeploy::client
