#include "dataset/run_length.h"

#include <gtest/gtest.h>

#include <string>

#include "base/error.h"

namespace lmdeploy {
namespace {

// The example of the format's own page on encodings.
TEST(RunLength, PackedBitsBeginAtTheLowest) {
  RunLengthReader reader("\x03\x88\xc6\xfa", 3);
  for (std::uint32_t i = 0; i < 8; ++i) EXPECT_EQ(reader.next(), i);
  EXPECT_THROW(reader.next(), Error);
}

TEST(RunLength, RunsFollowEachOther) {
  const std::string bytes("\x06\x34\x12\x00\xff\xff\x04\x01\x00", 9);  // 3 times 0x1234, nothing, twice 1
  RunLengthReader reader(bytes, 16);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(reader.next(), 0x1234U);
  for (int i = 0; i < 2; ++i) EXPECT_EQ(reader.next(), 1U);
  EXPECT_THROW(reader.next(), Error);
}

TEST(RunLength, ALastGroupMayLackItsPadding) {
  RunLengthReader reader("\x03\x88", 3);
  EXPECT_EQ(reader.next(), 0U);
  EXPECT_EQ(reader.next(), 1U);
  EXPECT_THROW(reader.next(), Error);
}

TEST(RunLength, WidthsFromNothingTo32Bits) {
  RunLengthReader none("\x08", 0);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(none.next(), 0U);
  const std::string ones = "\x03" + std::string(32, '\xff');
  RunLengthReader wide(ones, 32);
  for (int i = 0; i < 8; ++i) EXPECT_EQ(wide.next(), 0xffffffffU);
  EXPECT_THROW(RunLengthReader("\x03", 33), Error);
  EXPECT_THROW(RunLengthReader("\x03", -1), Error);
}

TEST(RunLength, AnEndlessHeaderIsRefused) {
  RunLengthReader reader("\xff\xff\xff\xff\xff\xff\xff\xff", 1);
  EXPECT_THROW(reader.next(), Error);
}

}  // namespace
}  // namespace lmdeploy
