#include "ops/cpu/quantized_linear.h"

#include <algorithm>

#include "ops/cpu/kernels.h"
#include "ops/cpu/linear_tasks.h"
#include "ops/cpu/parallel.h"
#include "ops/cpu/quantized_inputs.h"
#include "ops/cpu/quantized_layout.h"

namespace lmdeploy::ops::cpu {
namespace {

// Rows per task: their totals and a panel stay in the caches nearest to the core. A multiple of what tiles
// take.
constexpr TaskShape kTaskShape = {.max_rows = 96, .row_unit = kXTileRows};

QuantizedMatmul whole_matmul(const QuantizedInputs& x, const PackedMatrix& w, const QuantizedLayout& layout) {
  QuantizedMatmul all;
  all.x_stride = x.stride;
  all.w = static_cast<const char*>(w.data.view().data);
  all.scale_dtype = layout.format.scale_dtype;
  all.span_len = layout.span_len;
  all.num_spans = layout.num_spans();
  all.words_bytes = layout.words_bytes();
  all.span_bytes = layout.span_bytes();
  all.zeros_bytes = layout.zeros_bytes();
  all.fetch_distance = kFetchBytes;
  return all;
}

// The rows [row, row + num_rows) of everything that has rows.
void select_rows(QuantizedMatmul& part, const QuantizedInputs& x, const View& y, std::int64_t row) {
  part.x =
      static_cast<const char*>(x.data) + row * x.stride * static_cast<std::int64_t>(dtype_bytes(x.dtype));
  if (x.scales != nullptr) {
    part.x_scales = x.scales + row * part.num_spans;
    part.x_sums = x.sums + row * part.num_spans;
  }
  part.y = y.row<float>(row);
}

}  // namespace

void quantized_linear(Ctx& ctx, const View& x, const PackedMatrix& w, const View& y,
                      const LinearOptions& options) {
  const Workspace::Scope scope(*ctx.workspace);
  const QuantizedLayout layout(*w.format.quant, w.k);
  const QuantizedKernels& k = quantized_kernels(ctx.cpu_isa);
  const QuantizedInputs inputs = quantized_inputs(ctx, x, w, layout);
  const auto kernel = inputs.dtype == DType::i8 ? k.int8_matmul[bits_idx(layout.format.bits)]
                                                : k.matmul[dtype_idx(w.dtype())][layout.code_idx()];

  QuantizedMatmul all = whole_matmul(inputs, w, layout);
  all.y_stride = y.row_stride;
  all.bias = options.bias.empty() ? nullptr : options.bias.as<float>();
  all.accumulate = options.accumulate;
  const std::int64_t m = x.dim(0);
  const LinearTasks tasks = plan_tasks(m, w, ctx.pool->num_threads(), kTaskShape);
  const std::int64_t panel_bytes =
      layout.span_len * kBlockColumns * static_cast<std::int64_t>(dtype_bytes(inputs.dtype));
  const View totals =
      ctx.workspace->take(DType::f32, {ctx.pool->num_threads(), tasks.max_rows(), kBlockColumns});
  const View panels = ctx.workspace->take(DType::u8, {ctx.pool->num_threads(), panel_bytes});

  const auto multiply = [&](std::int64_t task_idx, int thread_idx) {
    const std::int64_t column_task = task_idx % tasks.num_column_tasks;
    const std::int64_t row_task = task_idx / tasks.num_column_tasks;
    const std::int64_t row = tasks.first_row(row_task);
    QuantizedMatmul part = all;
    select_rows(part, inputs, y, row);
    part.num_rows = tasks.first_row(row_task + 1) - row;
    part.first_column = tasks.first_column(column_task);
    part.end_column = std::min(w.n, tasks.first_column(column_task + 1));
    part.totals = totals.row<float>(thread_idx);
    part.panel = element(panels, thread_idx);
    kernel(part);
  };
  ctx.pool->parallel_for(tasks.num_tasks(), std::cref(multiply));
}

}  // namespace lmdeploy::ops::cpu
