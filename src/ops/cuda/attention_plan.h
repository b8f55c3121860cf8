#pragma once
// How a decode step's attention is divided into CTAs, worked out on the host.
#include <span>

#include "ops/cuda/attention_kernel.h"

namespace lmdeploy::ops::cuda {

struct DecodeWork {
  std::int64_t num_units;   // sequences x kv heads
  std::int64_t num_pages;   // of a unit, of 64 tokens
  std::int64_t page_bytes;  // of keys and values
  std::int64_t num_multiprocessors;
  std::int64_t max_splits;
};

struct DecodePlan {
  std::int32_t num_warps;
  std::int32_t num_splits;
};

// The cheapest, by what attention_plan.cc supposes that CTAs cost. widths: one or more.
DecodePlan plan_decode(const DecodeWork& work, std::span<const DecodeWidth> widths);

}  // namespace lmdeploy::ops::cuda
