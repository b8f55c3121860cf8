#include "dataset/thrift_reader.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/error.h"

namespace lmdeploy {
namespace {

using namespace std::string_literals;
using Type = ThriftReader::Type;

// A structure with every type that Parquet uses: 1: i32 -3, 2: binary "ab", 3: true, 4: [i64 1, 2], 5: {1:
// byte 7}, 6: double, 7: [true, false], 100: i16 5.
const std::string kBytes = "\x15\x05\x18\x02"s + "ab" + "\x11\x19\x26\x02\x04\x1c\x13\x07\x00\x17"s +
                           std::string(8, 'd') + "\x19\x21\x01\x02\x04\xc8\x01\x0a\x00"s;

TEST(ThriftReader, ReadsWhatIsWantedAndSkipsTheRest) {
  ThriftReader in(kBytes);
  std::vector<std::int64_t> ids, numbers;
  std::string text;
  bool flag = false;
  in.structure(Type::structure, [&](std::int64_t id, Type type) {
    ids.push_back(id);
    if (id == 1 || id == 100) return numbers.push_back(in.integer(type)), true;
    if (id == 2) return text = in.binary(type), true;
    if (id == 3) return flag = ThriftReader::boolean(type), true;
    if (id == 4) return in.list(type, [&](Type element) { numbers.push_back(in.integer(element)); }), true;
    return false;
  });
  EXPECT_EQ(ids, (std::vector<std::int64_t>{1, 2, 3, 4, 5, 6, 7, 100}));
  EXPECT_EQ(numbers, (std::vector<std::int64_t>{-3, 1, 2, 5}));
  EXPECT_EQ(text, "ab");
  EXPECT_TRUE(flag);
  EXPECT_EQ(in.num_read(), kBytes.size());
}

TEST(ThriftReader, AnyCutIsAnError) {
  const auto skip_all = [](const std::string& bytes) {
    ThriftReader in(bytes);
    in.structure(Type::structure, [](std::int64_t, Type) { return false; });
  };
  skip_all(kBytes);
  for (std::size_t size = 0; size < kBytes.size(); ++size)
    EXPECT_THROW(skip_all(kBytes.substr(0, size)), Error);
  EXPECT_THROW(skip_all(std::string(1'000'000, '\x1c')), Error);   // structures in structures
  EXPECT_THROW(skip_all("\x19\xfc\xff\xff\xff\xff\x0f"s), Error);  // a list of four billion structures
  EXPECT_THROW(skip_all("\x18\xff\xff\xff\xff\xff\xff\xff\xff\x7f"s), Error);
}

TEST(ThriftReader, AnotherTypeIsAnError) {
  ThriftReader in(
      "\x02"
      "ab");
  EXPECT_THROW(in.integer(Type::binary), Error);
  EXPECT_THROW(in.binary(Type::i32), Error);
  EXPECT_THROW(in.list(Type::structure, [](Type) {}), Error);
  EXPECT_THROW(in.structure(Type::list, [](std::int64_t, Type) { return false; }), Error);
  EXPECT_THROW(ThriftReader::boolean(Type::i32), Error);
}

}  // namespace
}  // namespace lmdeploy
