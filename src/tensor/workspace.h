#pragma once
#include <vector>

#include "tensor/tensor.h"

namespace lmdeploy {

// A stack of scratch memory that is reused from step to step: it grows to the largest step and stays there.
// Views taken inside a Scope are valid until the scope ends.
class Workspace {
 public:
  // first_bytes: what is known to be needed, taken at once as one piece. More comes as it is asked for.
  explicit Workspace(Allocator& allocator, std::size_t first_bytes = 0);

  View take(DType dtype, Shape shape);  // uninitialised, 64-byte aligned

  class Scope {
   public:
    explicit Scope(Workspace& workspace) : workspace_(workspace), mark_(workspace.mark()) {}
    ~Scope() { workspace_.reset(mark_); }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    struct Mark {
      std::size_t chunk_idx;
      std::size_t used_bytes;
    };
    friend class Workspace;
    Workspace& workspace_;
    Mark mark_;
  };

  std::size_t reserved_bytes() const noexcept;
  // The most that was taken at once, as it lay: what first_bytes has to be for the same steps.
  std::size_t peak_bytes() const noexcept { return peak_bytes_; }

 private:
  struct Chunk {
    Allocation memory;
    std::size_t used_bytes = 0;
  };
  std::size_t used_bytes() const noexcept;
  Scope::Mark mark() const noexcept;
  void reset(const Scope::Mark& mark) noexcept;

  Allocator* allocator_;
  std::vector<Chunk> chunks_;
  std::size_t current_ = 0;  // index of the chunk that is being filled
  std::size_t peak_bytes_ = 0;
};

}  // namespace lmdeploy
