#include "cli/bus_error.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "base/mapped_file.h"
#include "support/temp_folder.h"

namespace lmdeploy::cli {
namespace {

TEST(BusErrorDeathTest, AFileThatShrinksWhileItIsReadEndsTheProcessWithAMessage) {
  const testing::TempFolder folder;
  const auto path = folder.write("weights.bin", std::string(1 << 20, 'x'));
  const auto read_shortened_file = [&] {
    report_bus_errors();
    const MappedFile file(path);
    std::filesystem::resize_file(path, 0);
    volatile const std::byte last = file.bytes().back();
    static_cast<void>(last);
  };
  EXPECT_EXIT(read_shortened_file(), ::testing::ExitedWithCode(1), "became shorter.*\n.*start again");
}

}  // namespace
}  // namespace lmdeploy::cli
