#include "cli/bus_error.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/mapped_file.h"

namespace lmdeploy::cli {
namespace {

TEST(BusErrorDeathTest, AFileThatShrinksWhileItIsReadEndsTheProcessWithAMessage) {
  const auto path = std::filesystem::path(testing::TempDir()) / "shrinking.bin";
  constexpr std::size_t kBytes = 1 << 20;
  std::ofstream(path) << std::string(kBytes, 'x');
  const auto read_shortened_file = [&] {
    report_bus_errors();
    const MappedFile file(path);
    std::filesystem::resize_file(path, 0);
    volatile const std::byte last = file.bytes().back();
    static_cast<void>(last);
  };
  EXPECT_EXIT(read_shortened_file(), testing::ExitedWithCode(1), "became shorter.*\n.*start again");
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace lmdeploy::cli
