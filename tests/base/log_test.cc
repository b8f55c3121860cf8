#include "base/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace lmdeploy {
namespace {

using ::testing::HasSubstr;
using ::testing::internal::CaptureStderr;
using ::testing::internal::CaptureStdout;
using ::testing::internal::GetCapturedStderr;
using ::testing::internal::GetCapturedStdout;

TEST(Log, AcceptsLmdeploysNamesInEitherCase) {
  for (const char* name : {"CRITICAL", "FATAL", "error", "WARNING", "warn", "Info", "DEBUG", "NOTSET"})
    EXPECT_NO_THROW(init_log(name)) << name;
}

TEST(Log, RefusesAnUnknownLevelByName) {
  try {
    init_log("LOUD");
    FAIL() << "an unknown level was accepted";
  } catch (const Error& error) {
    EXPECT_THAT(error.problem(), HasSubstr("LOUD"));
    EXPECT_THAT(error.remedy(), HasSubstr("WARNING"));
  }
}

TEST(Log, GoesToStderrFromTheLevelUp) {
  CaptureStdout();
  CaptureStderr();
  init_log("WARNING");
  log::info("quiet");
  log::warn("{} blocks left", 3);
  log::default_logger()->flush();
  EXPECT_EQ(GetCapturedStdout(), "");
  const std::string text = GetCapturedStderr();
  EXPECT_THAT(text, HasSubstr("3 blocks left"));
  EXPECT_THAT(text, ::testing::Not(HasSubstr("quiet")));
}

TEST(Log, JsonIsOneObjectALine) {
  CaptureStderr();
  init_log("INFO", true);
  log::info("ready");
  log::default_logger()->flush();
  EXPECT_THAT(GetCapturedStderr(),
              ::testing::MatchesRegex("\\{\"time\":\".*\",\"level\":\"info\",\"message\":\"ready\"\\}\n"));
}

TEST(Log, JsonStaysJsonWhateverTheMessageHolds) {
  CaptureStderr();
  init_log("INFO", true);
  log::info("a \"quoted\" path C:\\x\nand a second line\t{}", '\x01');
  log::default_logger()->flush();
  EXPECT_THAT(GetCapturedStderr(),
              HasSubstr(R"("message":"a \"quoted\" path C:\\x\nand a second line\t\u0001"})"
                        "\n"));
}

}  // namespace
}  // namespace lmdeploy
