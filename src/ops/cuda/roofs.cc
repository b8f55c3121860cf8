#include "ops/roofs.h"

#include <algorithm>

#include "ops/cuda/cuda_ops.h"
#include "ops/cuda/launch.h"
#include "ops/cuda/roofs_kernel.h"

namespace lmdeploy::ops::cuda {
namespace {

class Event {
 public:
  Event() { CUDA_CHECK(cudaEventCreate(&event_)); }
  ~Event() { static_cast<void>(cudaEventDestroy(event_)); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  void record(cudaStream_t stream) { CUDA_CHECK(cudaEventRecord(event_, stream)); }
  double seconds_since(const Event& begin) const {
    float milliseconds = 0;
    CUDA_CHECK(cudaEventSynchronize(event_));
    CUDA_CHECK(cudaEventElapsedTime(&milliseconds, begin.event_, event_));
    return static_cast<double>(milliseconds) / 1e3;
  }

 private:
  cudaEvent_t event_ = nullptr;
};

// Of several tries on the card, where the first may pay for what happens once. Other programs only ever make
// a try slower.
template <class Work>
double best_seconds(const Ctx& ctx, const Work& work) {
  constexpr int kTries = 6;
  Event begin, end;
  double best = 1e30;
  for (int i = 0; i < kTries; i++) {
    begin.record(stream_of(ctx));
    work();
    end.record(stream_of(ctx));
    best = std::min(best, end.seconds_since(begin));
  }
  return best;
}

int num_multiprocessors() {
  int device = 0, count = 0;
  CUDA_CHECK(cudaGetDevice(&device));
  CUDA_CHECK(cudaDeviceGetAttribute(&count, cudaDevAttrMultiProcessorCount, device));
  return count;
}

double read_bytes_per_s(Ctx& ctx) {
  constexpr std::size_t kWantedBytes = std::size_t{2} << 30, kUnit = 1 << 20;
  std::size_t free = 0, total = 0;
  CUDA_CHECK(cudaMemGetInfo(&free, &total));
  const auto bytes = static_cast<std::int64_t>(std::min(kWantedBytes, free / 2) / kUnit * kUnit);
  const Tensor buffer(*ctx.allocator, DType::u8, {bytes}), sink(*ctx.allocator, DType::i32, {1});
  const int multiprocessors = num_multiprocessors();
  CUDA_CHECK(launch_fill_random(buffer.view().data, bytes / 2, stream_of(ctx)));
  return static_cast<double>(bytes) / best_seconds(ctx, [&] {
           CUDA_CHECK(launch_read(buffer.view().data, bytes, multiprocessors,
                                  static_cast<unsigned*>(sink.view().data), stream_of(ctx)));
         });
}

// Of a product of square matrices through linear(): mma instructions by themselves do not fill Hopper.
double bf16_flops(Ctx& ctx) {
  constexpr std::int64_t kSide = 8192;
  const PackedMatrix w = make_packed_matrix(ctx, {.dtype = DType::bf16}, kSide, kSide);
  const Tensor x(*ctx.allocator, DType::bf16, {kSide, kSide}), y(*ctx.allocator, DType::f32, {kSide, kSide});
  for (void* data : {w.data.view().data, x.view().data})
    CUDA_CHECK(launch_fill_random(data, kSide * kSide, stream_of(ctx)));
  return 2.0 * kSide * kSide * kSide / best_seconds(ctx, [&] { cuda::linear(ctx, x, w, y, {}); });
}

double int8_ops(Ctx& ctx) {
  const Tensor sink(*ctx.allocator, DType::i32, {1});
  const int multiprocessors = num_multiprocessors();
  double num_ops = 0;
  const double seconds = best_seconds(ctx, [&] {
    CUDA_CHECK(
        launch_int8_multiply_adds(multiprocessors, sink.view().as<std::int32_t>(), num_ops, stream_of(ctx)));
  });
  return num_ops / seconds;
}

}  // namespace

Roofs measure_roofs(Ctx& ctx) {
  return {read_bytes_per_s(ctx), bf16_flops(ctx), int8_ops(ctx)};
}

}  // namespace lmdeploy::ops::cuda
