#include "model/row_unpacker.h"

#include <algorithm>

namespace lmdeploy {
namespace {

constexpr std::int64_t kRowsPerTask = 128;  // whole cache lines of AWQ's words
// Rows are written side by side, eight inputs of each at a time. At a distance of a power of two they would
// all fall into the same few lines of the cache.
constexpr std::int64_t kRowGap = 64;

std::int64_t round_down(std::int64_t value, std::int64_t multiple) {
  return value / multiple * multiple;
}
std::int64_t round_up(std::int64_t value, std::int64_t multiple) {
  return round_down(value + multiple - 1, multiple);
}

}  // namespace

void RowUnpacker::make_room(std::int64_t k, std::int64_t num_groups) {
  if (k == k_ && num_groups == scales_.shape()[1]) return;
  k_ = k;
  max_rows_ = std::max(kRowsPerTask, round_down(kSliceBytes / k, kRowsPerTask));
  q_ = Tensor(host_allocator(), DType::u8, Shape{max_rows_, k + kRowGap});
  scales_ = Tensor(host_allocator(), DType::f32, Shape{max_rows_, num_groups});
  zeros_ = Tensor(host_allocator(), DType::u8, Shape{max_rows_, num_groups});
}

QuantizedRows RowUnpacker::unpack(const StoredLinear& layer, std::int64_t first_row, std::int64_t num_rows) {
  const auto slice = [&](std::int64_t begin, std::int64_t count) {
    return QuantizedRows{q_.view().rows(begin, count).columns(0, k_), scales_.view().rows(begin, count),
                         zeros_.view().rows(begin, count)};
  };
  const std::int64_t num_tasks = (num_rows + kRowsPerTask - 1) / kRowsPerTask;
  ctx_.pool->parallel_for(num_tasks, [&](std::int64_t task_idx, int) {
    const std::int64_t begin = task_idx * kRowsPerTask;
    layer.unpack(first_row + begin, slice(begin, std::min(kRowsPerTask, num_rows - begin)));
  });
  return slice(0, num_rows);
}

// A move may begin and end inside a word of the file: whole words are unpacked and the rows cut out of them.
void RowUnpacker::pack(const StoredLinear& layer, std::span<const RowMove> moves, ops::PackedMatrix& matrix) {
  make_room(matrix.k, matrix.k / layer.format.group_size);
  const std::int64_t alignment = StoredLinear::kOutputAlignment;
  for (const RowMove& move : moves) {
    const std::int64_t end = move.source_row + move.num_rows;
    for (std::int64_t row = move.source_row; row < end;) {
      const std::int64_t first = round_down(row, alignment);
      const std::int64_t last = std::min({round_up(end, alignment), first + max_rows_, layer.num_outputs});
      const std::int64_t count = std::min(end, last) - row;
      const QuantizedRows whole = unpack(layer, first, last - first);
      const QuantizedRows rows{whole.q.rows(row - first, count), whole.scales.rows(row - first, count),
                               whole.zeros.rows(row - first, count)};
      ops::pack_quantized_rows(ctx_, rows, matrix, move.target_row + row - move.source_row);
      row += count;
    }
  }
}

}  // namespace lmdeploy
