#pragma once
#include "base/thread_pool.h"
#include "tensor/ctx.h"

namespace lmdeploy::cli {

// A Ctx of this machine's memory and CPUs, with what it borrows.
struct HostCtx {
  explicit HostCtx(int num_threads) : pool(num_threads), workspace(host_allocator()) {
    ctx.pool = &pool;
    ctx.allocator = &host_allocator();
    ctx.workspace = &workspace;
  }

  ThreadPool pool;
  Workspace workspace;
  Ctx ctx;
};

}  // namespace lmdeploy::cli
