#include "tensor/cuda/graph_cache.h"

#include <cuda_runtime_api.h>

#include <algorithm>

#include "tensor/cuda/cuda_error.h"

namespace lmdeploy::cuda {
namespace {

// Of batch sizes times lengths of block tables. A graph of a large model has 300 kernels and takes a few
// megabytes, so that all of them stay below half a gigabyte.
constexpr std::size_t kMaxEntries = 128;

}  // namespace

class GraphCache::Graph {
 public:
  Graph(cudaStream_t stream, const std::function<void()>& put) {
    CUDA_CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
    cudaGraph_t graph = nullptr;
    try {
      put();
    } catch (...) {
      cudaStreamEndCapture(stream, &graph);  // the stream is usable again; what went wrong is told by `put`
      if (graph != nullptr) cudaGraphDestroy(graph);
      throw;
    }
    CUDA_CHECK(cudaStreamEndCapture(stream, &graph));
    const cudaError_t status = cudaGraphInstantiate(&executable_, graph, 0);
    cudaGraphDestroy(graph);
    CUDA_CHECK(status);
  }
  ~Graph() { cudaGraphExecDestroy(executable_); }
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;

  void launch(cudaStream_t stream) const { CUDA_CHECK(cudaGraphLaunch(executable_, stream)); }

 private:
  cudaGraphExec_t executable_ = nullptr;
};

GraphCache::GraphCache(void* stream) : stream_(stream) {}
GraphCache::~GraphCache() = default;

void GraphCache::run(const Key& key, const std::function<void()>& put) {
  const auto [entry, is_new] = entries_.try_emplace(key);
  entry->second.last_run = ++num_runs_;
  if (is_new) {
    put();
    if (entries_.size() > kMaxEntries) drop_oldest();
    return;
  }
  const auto stream = static_cast<cudaStream_t>(stream_);
  std::unique_ptr<Graph>& graph = entry->second.graph;
  if (graph == nullptr) graph = std::make_unique<Graph>(stream, put);
  graph->launch(stream);
}

// A graph that still runs may be destroyed: CUDA keeps it until it has ended.
void GraphCache::drop_oldest() {
  entries_.erase(std::min_element(entries_.begin(), entries_.end(), [](const auto& a, const auto& b) {
    return a.second.last_run < b.second.last_run;
  }));
}

std::size_t GraphCache::num_graphs() const noexcept {
  return static_cast<std::size_t>(std::count_if(
      entries_.begin(), entries_.end(), [](const auto& entry) { return entry.second.graph != nullptr; }));
}

}  // namespace lmdeploy::cuda
