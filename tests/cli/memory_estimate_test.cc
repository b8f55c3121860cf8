#include "cli/memory_estimate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/system_memory.h"
#include "cli/engine_loader.h"
#include "cli/model_outline.h"
#include "cli/plan_table.h"
#include "ops/dispatch.h"
#include "tensor/counting_allocator.h"

namespace lmdeploy::cli {
namespace {

namespace fs = std::filesystem;
using lmdeploy::testing::outline_folder;
using lmdeploy::testing::outline_shape;
using make_model::Layout;
using make_model::Storage;
using ::testing::HasSubstr;

const fs::path kGolden = fs::path(LMDEPLOY_SOURCE_DIR) / "tests/golden";

std::vector<fs::path> folders_in(const fs::path& folder) {
  std::vector<fs::path> result;
  for (const auto& entry : fs::directory_iterator(folder))
    if (fs::exists(entry.path() / "config.json")) result.push_back(entry.path());
  EXPECT_FALSE(result.empty()) << folder;
  return result;
}

EngineFlags flags(const std::string& memory) {
  EngineFlags flags;
  flags.device = "cpu";
  flags.memory = memory;
  flags.max_batch_size = 4;
  flags.num_threads = 2;
  return flags;
}

// What the weights take once they are really loaded.
std::int64_t loaded_bytes(const fs::path& folder, const EngineFlags& engine) {
  CountingAllocator allocator(host_allocator());
  ThreadPool pool(1);
  Workspace workspace(host_allocator());
  Ctx ctx;
  ctx.pool = &pool;
  ctx.allocator = &allocator;
  ctx.workspace = &workspace;
  const auto model = load_model(ctx, folder, load_options(Device::cpu, "auto", engine));
  return allocator.held_bytes();
}

MemoryEstimate estimate(const ModelSource& source, const EngineFlags& engine,
                        const Suppositions& supposed = {}) {
  return estimate_memory(source, load_hf_config(source.folder), "auto", engine, supposed);
}

std::int64_t planned_bytes(const ModelSource& source, const EngineFlags& engine,
                           const Suppositions& supposed = {}) {
  return estimate(source, engine, supposed).plan.needs.weight_bytes;
}

TEST(MemoryEstimate, WeightsAreWhatALoadTakesInEveryFormat) {
  for (const char* kind : {"models", "quantized"})
    for (const fs::path& folder : folders_in(kGolden / kind))
      for (const int head_bits : {16, 8}) {
        EngineFlags engine = flags("4GB");
        engine.head_bits = head_bits;
        EXPECT_EQ(planned_bytes({folder, "golden"}, engine), loaded_bytes(folder, engine))
            << folder << ", head of " << head_bits << " bits";
      }
}

TEST(MemoryEstimate, HeadersAloneTellTheSame) {
  for (const char* kind : {"models", "quantized"})
    for (const fs::path& folder : folders_in(kGolden / kind)) {
      OutlineFolder outline;
      outline_folder(outline, folder);
      const std::int64_t whole = planned_bytes({folder, "golden"}, flags("4GB"));
      const std::int64_t headers = planned_bytes({outline.path(), "golden", true}, flags("4GB"));
      // The order of inputs is data: headers do not tell how many layers have one.
      if (folder.filename().string().find("desc_act") == std::string::npos)
        EXPECT_EQ(headers, whole) << folder;
      else
        EXPECT_LT(headers, whole) << folder;
    }
}

TEST(MemoryEstimate, WhatAutoAwqWouldMakeIsWhatAwqFoldersTake) {
  for (const char* shape : {"internlm2_5-1_8b", "internlm2_5-7b"}) {
    OutlineFolder floats, awq;
    outline_shape(floats, shape, {Layout::internlm2, Storage::bf16});
    outline_shape(awq, shape, {Layout::internlm2, Storage::awq});
    Suppositions rounded;
    rounded.rounding = QuantFormat{4, 128, DType::f16};
    const std::int64_t bytes = planned_bytes({awq.path(), "awq", true}, flags("24GB"));
    EXPECT_EQ(planned_bytes({floats.path(), "floats", true}, flags("24GB"), rounded), bytes) << shape;
    EXPECT_GT(planned_bytes({floats.path(), "floats", true}, flags("24GB")), 2 * bytes) << shape;
  }
}

// LMDeploy's tutorial on a card of 24 GB, where "other" (CUDA's context and libraries) is 1 to 1.8 GB.
TEST(MemoryEstimate, OfA7BModelIsTheTutorialsTable) {
  struct Row {
    Storage storage;
    std::int32_t quant_policy;
    const char* cache_max_entry_count;
    double total_gib;
  };
  const std::uint64_t before = resident_memory_bytes();
  for (const Row& row :
       {Row{Storage::bf16, 0, "0.8", 23}, Row{Storage::bf16, 0, "0.4", 19}, Row{Storage::bf16, 4, "0.4", 19},
        Row{Storage::awq, 0, "0.8", 20.9}, Row{Storage::awq, 4, "0.4", 13.5}}) {
    OutlineFolder folder;
    outline_shape(folder, "internlm2_5-7b", {Layout::internlm2, row.storage});
    EngineFlags engine = flags("24GB");
    engine.quant_policy = row.quant_policy;
    engine.cache_max_entry_count = row.cache_max_entry_count;
    engine.max_batch_size = 128;
    Suppositions card;
    card.other_bytes = std::int64_t{800} << 20;
    const MemoryPlan plan = estimate({folder.path(), "7B", true}, engine, card).plan;
    EXPECT_NEAR(static_cast<double>(plan.total_bytes()) / 0x1p30, row.total_gib, 0.3)
        << row.total_gib << ", int" << row.quant_policy;
    EXPECT_TRUE(plan.fits());
  }
  EXPECT_LT(resident_memory_bytes(), before + (std::uint64_t{256} << 20)) << "nothing was loaded";
}

TEST(MemoryEstimate, DevicesShareWeightsAndHeads) {
  const ModelSource source{kGolden / "models/llama", "llama"};
  const MemoryPlan one = estimate(source, flags("4GB")).plan;
  Suppositions two;
  two.num_devices = 2;
  const MemoryPlan half = estimate(source, flags("4GB"), two).plan;
  EXPECT_EQ(half.needs.weight_bytes, one.needs.weight_bytes / 2);
  EXPECT_EQ(half.needs.cache.block_bytes, one.needs.cache.block_bytes / 2);
  two.num_devices = 64;
  EXPECT_THROW(estimate(source, flags("4GB"), two), Error);
}

TEST(MemoryEstimate, ALimitIsAsIfThereWereNoMore) {
  EngineFlags limited = flags("4GB");
  limited.memory_limit = "3GB";
  const ModelSource source{kGolden / "models/llama", "llama"};
  const MemoryPlan plan = estimate(source, limited).plan;
  EXPECT_EQ(plan.memory_bytes, std::int64_t{3} << 30);
  EXPECT_EQ(plan.cache.bytes, estimate(source, flags("3GB")).plan.cache.bytes);
  limited.memory_limit = "5GB";
  EXPECT_EQ(estimate(source, limited).plan.memory_bytes, std::int64_t{4} << 30);
}

// Without one here, in a build that has its kernels.
TEST(MemoryEstimate, OfACardNeedsOnlyTheBuild) {
  EngineFlags card = flags("24GB");
  card.device = "cuda";
  const ModelSource source{kGolden / "quantized/awq_w4", "awq"};
  if (!ops::kHasCuda) {
    EXPECT_THROW(estimate(source, card), Error);
    return;
  }
  const MemoryEstimate found = estimate(source, card);
  EXPECT_EQ(found.device, Device::cuda);
  EXPECT_TRUE(found.plan.fits());
  EXPECT_GE(found.plan.needs.weight_bytes, found.info.weight_bytes);
  EXPECT_THAT(plan_text(found, "awq"), HasSubstr("on the card"));
}

TEST(MemoryEstimate, TableAndJsonSayTheSame) {
  const MemoryEstimate found = estimate({kGolden / "models/llama", "llama"}, flags("4GB"));
  const nlohmann::ordered_json json = plan_json(found);
  EXPECT_EQ(json["memory_bytes"], std::int64_t{4} << 30);
  EXPECT_EQ(json["total_bytes"], found.plan.total_bytes());
  EXPECT_TRUE(json["fits"]);
  const std::string text = plan_text(found, "llama");
  EXPECT_THAT(text, HasSubstr("Memory plan of llama, 4.00 GiB"));
  EXPECT_THAT(text, HasSubstr(json["kv_cache"]["tokens"].dump() + " tokens"));
  for (const char* row : {"weights", "KV cache", "workspace", "other", "total", "left"})
    EXPECT_THAT(text, HasSubstr(row));
}

}  // namespace
}  // namespace lmdeploy::cli
