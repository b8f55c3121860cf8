#include "tensor/ctx.h"

#include <gtest/gtest.h>

#include <fstream>
#include <string>

namespace lmdeploy {
namespace {

// The flags line of /proc/cpuinfo: the kernel's word, apart from the compiler's builtins.
std::string cpu_flags() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);)
    if (line.rfind("flags", 0) == 0) return line + " ";
  return {};
}

TEST(Ctx, TheBestIsaIsOneThatTheMachineHas) {
  const std::string flags = cpu_flags();
  const auto has = [&](const char* flag) {
    return flags.find(std::string(" ") + flag + " ") != std::string::npos;
  };
  CpuIsa expected = CpuIsa::generic;
  if (has("avx2") && has("fma") && has("f16c")) expected = CpuIsa::avx2;
  if (has("avx512f") && has("avx512bw") && has("avx512vl") && has("avx512dq") && has("avx512_vnni") &&
      has("avx512_bf16"))
    expected = has("amx_tile") && has("amx_bf16") && has("amx_int8") ? CpuIsa::amx_bf16 : CpuIsa::avx512_bf16;
  EXPECT_EQ(best_cpu_isa(), expected);
  EXPECT_EQ(Ctx{}.cpu_isa, expected);
}

TEST(Ctx, IsasHaveNames) {
  EXPECT_STREQ(cpu_isa_name(CpuIsa::generic), "x86-64");
  EXPECT_STREQ(cpu_isa_name(CpuIsa::avx2), "AVX2");
  EXPECT_STREQ(cpu_isa_name(CpuIsa::avx512_bf16), "AVX-512 bf16");
  EXPECT_STREQ(cpu_isa_name(CpuIsa::amx_bf16), "AMX bf16");
}

}  // namespace
}  // namespace lmdeploy
