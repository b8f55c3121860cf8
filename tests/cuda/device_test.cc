#include <numeric>

#include "cuda/cuda_fixture.h"
#include "ops/roofs.h"

namespace lmdeploy::ops {
namespace {

// Also where there is no card.
TEST(CudaAvailability, SaysWhatIsThereOrWhatToDo) {
  const cuda::Availability found = cuda::availability();
  EXPECT_GE(found.runtime_version, 12020);
  if (!found.reason.empty()) {
    EXPECT_EQ(found.reason.back(), '.') << found.reason;
    return;
  }
  ASSERT_FALSE(found.devices.empty());
  const cuda::DeviceProperties& card = found.devices.front();
  EXPECT_GE(card.compute_major, 8);
  EXPECT_GT(card.num_multiprocessors, 0);
  EXPECT_GT(card.l2_bytes, 0U);
  EXPECT_GT(card.free_bytes, 0U);
  EXPECT_GE(card.total_bytes, card.free_bytes);
}

class CudaDeviceTest : public CudaOpsTest {};

TEST_F(CudaDeviceTest, AnAllocationThatCannotBeSaysHowMuchIsFree) {
  try {
    const Allocation memory = cuda::device_allocator().allocate(std::size_t{1} << 50);
    FAIL() << "a petabyte";
  } catch (const Error& error) {
    EXPECT_NE(error.problem().find("1125899906842624 bytes"), std::string::npos) << error.problem();
    EXPECT_NE(error.problem().find("are free"), std::string::npos) << error.problem();
    EXPECT_FALSE(error.remedy().empty());
  }
  EXPECT_EQ(cudaGetLastError(), cudaSuccess) << "the next launch would report it again";
}

TEST_F(CudaDeviceTest, FailedCallsSayWhere) {
  try {
    CUDA_CHECK(cudaSetDevice(1 << 20));
    FAIL() << "a million cards";
  } catch (const Error& error) {
    EXPECT_NE(error.problem().find("device_test.cc"), std::string::npos) << error.problem();
    EXPECT_NE(error.problem().find("cudaErrorInvalidDevice"), std::string::npos) << error.problem();
  }
}

// 64 MiB lie beyond what the driver copies at once.
TEST_F(CudaDeviceTest, WhatWasCopiedMayBeChangedAtOnce) {
  constexpr std::int64_t kCount = std::int64_t{1} << 24;
  for (Allocator* allocator : {&host_allocator(), &cuda::pinned_allocator()}) {
    const Tensor from(*allocator, DType::i32, {kCount}), to(*allocator, DType::i32, {kCount}),
        card = poisoned(DType::i32, {kCount});
    auto* numbers = from.view().as<std::int32_t>();
    std::iota(numbers, numbers + kCount, 0);
    const auto bytes = static_cast<std::size_t>(from.view().bytes());
    cuda::copy_to_device(card.view().data, numbers, bytes, ctx.stream);
    std::fill(numbers, numbers + kCount, -1);
    cuda::copy_to_host(to.view().data, card.view().data, bytes, ctx.stream);
    for (std::int64_t i = 0; i < kCount; i++) ASSERT_EQ(to.view().as<std::int32_t>()[i], i);
  }
}

TEST_F(CudaDeviceTest, UploadedIndicesAreTheSameIntegers) {
  const std::vector<std::int32_t> first = random_ids(17, 1000), second = random_ids(500, 1000), none;
  Indices a(first), b(second), c(none);
  Indices* const all[] = {&a, &c, &b};
  const Workspace::Scope scope(*ctx.workspace);
  ops::upload(ctx, all);
  for (const Indices* each : {&a, &b}) {
    std::vector<std::int32_t> back(each->size());
    cuda::copy_to_host(back.data(), each->device, each->host.size_bytes(), ctx.stream);
    EXPECT_TRUE(std::equal(back.begin(), back.end(), each->host.begin()));
  }
}

TEST_F(CudaDeviceTest, Roofs) {
  const Roofs roofs = measure_roofs(ctx);
  EXPECT_GT(roofs.read_bytes_per_s, 1e11);
  EXPECT_GT(roofs.bf16_flops, 1e13);
  EXPECT_GT(roofs.int8_ops, 1e13);
  RecordProperty("read_GB_per_s", std::to_string(roofs.read_bytes_per_s / 1e9));
  RecordProperty("bf16_TFLOPS", std::to_string(roofs.bf16_flops / 1e12));
  RecordProperty("int8_TOPS", std::to_string(roofs.int8_ops / 1e12));
}

}  // namespace
}  // namespace lmdeploy::ops
