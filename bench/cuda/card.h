#pragma once
#include <cuda_runtime_api.h>

#include <algorithm>
#include <random>
#include <vector>

#include "ops/roofs.h"
#include "tensor/cuda/cuda_error.h"
#include "tensor/cuda/device.h"
#include "tensor/workspace.h"

namespace lmdeploy::ops {

// A card with its ceilings, measured at the start.
class Card {
 public:
  Card() {
    ctx.device = Device::cuda;
    ctx.stream = stream_.get();
    ctx.allocator = &cuda::device_allocator();
    ctx.workspace = &workspace_;
    ctx.tickets = stream_.tickets();
    roofs = measure_roofs(ctx);
  }
  void wait() const { stream_.wait(); }
  cudaStream_t stream() const { return static_cast<cudaStream_t>(ctx.stream); }

  // Microseconds of a graph of what `launch` puts on the stream: the median of ten runs.
  template <class F>
  double graph_us(const F& launch) {
    launch();  // takes the scratch it needs
    wait();
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t executable = nullptr;
    CUDA_CHECK(cudaStreamBeginCapture(stream(), cudaStreamCaptureModeThreadLocal));
    launch();
    CUDA_CHECK(cudaStreamEndCapture(stream(), &graph));
    CUDA_CHECK(cudaGraphInstantiate(&executable, graph, 0));
    cudaEvent_t begin = nullptr, end = nullptr;
    CUDA_CHECK(cudaEventCreate(&begin));
    CUDA_CHECK(cudaEventCreate(&end));
    std::vector<float> times;
    for (int run = -2; run < kNumRuns; run++) {
      CUDA_CHECK(cudaEventRecord(begin, stream()));
      CUDA_CHECK(cudaGraphLaunch(executable, stream()));
      CUDA_CHECK(cudaEventRecord(end, stream()));
      wait();
      float ms = 0;
      CUDA_CHECK(cudaEventElapsedTime(&ms, begin, end));
      if (run >= 0) times.push_back(ms);
    }
    CUDA_CHECK(cudaEventDestroy(begin));
    CUDA_CHECK(cudaEventDestroy(end));
    CUDA_CHECK(cudaGraphExecDestroy(executable));
    CUDA_CHECK(cudaGraphDestroy(graph));
    std::sort(times.begin(), times.end());
    return static_cast<double>(times[times.size() / 2]) * 1e3;
  }

  Ctx ctx;
  Roofs roofs;
  std::minstd_rand rng{1};

 private:
  static constexpr int kNumRuns = 10;

  cuda::Stream stream_;
  Workspace workspace_{cuda::device_allocator()};
};

}  // namespace lmdeploy::ops
