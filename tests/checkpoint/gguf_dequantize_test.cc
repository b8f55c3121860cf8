#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <set>
#include <vector>

#include "checkpoint/foreign_bytes.h"
#include "checkpoint/gguf_type.h"

namespace lmdeploy {
namespace {

// Every bit is the reference's: tests/golden/gguf/make_blocks.py made the blocks and their values.
TEST(GgufDequantize, EqualsTheReferenceBitForBit) {
  const std::string golden = testing::read_bytes(LMDEPLOY_SOURCE_DIR "/tests/golden/gguf/blocks.bin");
  std::set<GgufType> seen;
  for (std::size_t position = 0; position < golden.size();) {
    std::uint32_t head[3];  // type, bytes of blocks, number of values
    ASSERT_LE(position + sizeof head, golden.size());
    std::memcpy(head, golden.data() + position, sizeof head);
    position += sizeof head;
    const GgufTypeInfo* info = find_gguf_type(head[0]);
    ASSERT_NE(info, nullptr) << head[0];
    seen.insert(info->type);
    std::vector<float> expected(head[2]);
    ASSERT_LE(position + head[1] + head[2] * sizeof(float), golden.size());
    std::memcpy(expected.data(), golden.data() + position + head[1], head[2] * sizeof(float));
    std::vector<float> values(head[2]);
    dequantize_gguf(info->type, std::as_bytes(std::span(golden)).subspan(position, head[1]), values);
    for (std::size_t i = 0; i < values.size(); ++i)
      ASSERT_EQ(std::memcmp(&values[i], &expected[i], sizeof(float)), 0)
          << info->name << " value " << i << ": " << values[i] << ", expected " << expected[i];
    position += head[1] + head[2] * sizeof(float);
  }
  EXPECT_EQ(seen.size(), 11U);
}

}  // namespace
}  // namespace lmdeploy
