#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>

#include "tensor/graph_cache.h"

namespace lmdeploy::cuda {

// CUDA graphs of the work of one stream.
class GraphCache final : public lmdeploy::GraphCache {
 public:
  explicit GraphCache(void* stream /* cudaStream_t */);
  ~GraphCache() override;
  GraphCache(const GraphCache&) = delete;
  GraphCache& operator=(const GraphCache&) = delete;

  void run(const Key& key, const std::function<void()>& put) override;
  std::size_t num_graphs() const noexcept;

 private:
  class Graph;
  struct Entry {
    std::unique_ptr<Graph> graph;  // null: was run once
    std::uint64_t last_run = 0;
  };
  void drop_oldest();

  void* stream_;
  std::map<Key, Entry> entries_;
  std::uint64_t num_runs_ = 0;
};

}  // namespace lmdeploy::cuda
