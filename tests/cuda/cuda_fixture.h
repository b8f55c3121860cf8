#pragma once
#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "cuda/no_card.h"
#include "ops/float_tensors.h"
#include "ops/ops.h"
#include "tensor/cuda/cuda_error.h"
#include "tensor/cuda/device.h"

namespace lmdeploy::ops {

// The first card, with a stream and a workspace of each test's own. Skipped where there is no card. Operands
// are made in host memory (FloatTensors) and uploaded; what an op shall write is poisoned first and
// downloaded.
class CudaOpsTest : public testing::Test, protected FloatTensors {
 protected:
  void SetUp() override {
    if (!why_no_card().empty()) GTEST_SKIP() << why_no_card();
    stream.emplace();
    workspace.emplace(cuda::device_allocator());
    ctx.device = Device::cuda;
    ctx.stream = stream->get();
    ctx.allocator = &cuda::device_allocator();
    ctx.workspace = &*workspace;
    ctx.tickets = stream->tickets();
  }
  void TearDown() override {
    if (stream) stream->wait();  // throws what a kernel has died of
  }

  // The same elements in device memory, without the gaps between rows.
  Tensor upload(const View& host) {
    Tensor tensor(cuda::device_allocator(), host.dtype, host.shape);
    copy_rows(tensor, host, cudaMemcpyHostToDevice);
    return tensor;
  }
  // The same elements in host memory, once all work of the stream is done.
  Tensor download(const View& device) {
    Tensor tensor(host_allocator(), device.dtype, device.shape);
    copy_rows(tensor, device, cudaMemcpyDeviceToHost);
    return tensor;
  }
  // Device memory of 0xff bytes: NaN in every type of float, -1 in integers.
  Tensor poisoned(DType dtype, Shape shape) {
    Tensor tensor(cuda::device_allocator(), dtype, shape);
    CUDA_CHECK(cudaMemsetAsync(tensor.view().data, 0xff, static_cast<std::size_t>(tensor.view().bytes()),
                               stream_handle()));
    return tensor;
  }

  // Outside of columns [begin, begin + count), a matrix that began as poison is still poison.
  void expect_poison_around(const View& device, std::int64_t begin, std::int64_t count,
                            const std::string& what) {
    const Tensor host = download(device);
    const std::int64_t bytes = static_cast<std::int64_t>(dtype_bytes(device.dtype)),
                       row_bytes = host.view().bytes() / device.dim(0);
    const auto* data = static_cast<const unsigned char*>(host.view().data);
    for (std::int64_t i = 0; i < host.view().bytes(); i++) {
      const std::int64_t column = i % row_bytes / bytes;
      if (column >= begin && column < begin + count) continue;
      ASSERT_EQ(data[i], 0xff) << what << ": wrote to [" << i / row_bytes << ", " << column << "]";
    }
  }

  // [m, n] in the middle of wider rows, all poison. lead: columns before and behind; 8 keeps vectors of 16
  // bytes aligned, an odd number does not.
  struct Slice {
    Tensor whole;
    View view;
    std::int64_t lead;
  };
  Slice slice(DType dtype, std::int64_t m, std::int64_t n, std::int64_t lead) {
    Slice result{poisoned(dtype, {m, n + 2 * lead}), {}, lead};
    result.view = result.whole.view().columns(lead, n);
    return result;
  }
  // The same with a matrix of the host in it.
  Slice slice_of(const View& host, std::int64_t lead) {
    Slice result = slice(host.dtype, host.dim(0), host.dim(1), lead);
    copy_rows(result.view, host, cudaMemcpyHostToDevice);
    return result;
  }
  void expect_result(const Slice& actual, const ref::Matrix& expected, double tolerance,
                     const std::string& what) {
    expect_close(download(actual.view), expected, tolerance, what);
    expect_poison_around(actual.whole, actual.lead, expected.num_columns, what);
  }

  std::vector<std::int32_t> random_ids(std::int64_t count, std::int64_t limit) {
    std::vector<std::int32_t> ids;
    for (std::int64_t i = 0; i < count; i++) ids.push_back(static_cast<std::int32_t>(rng() % limit));
    return ids;
  }

  cudaStream_t stream_handle() const { return static_cast<cudaStream_t>(ctx.stream); }

  std::optional<cuda::Stream> stream;
  std::optional<Workspace> workspace;
  Ctx ctx;

 private:
  void copy_rows(const View& to, const View& from, cudaMemcpyKind kind) {
    if (from.bytes() == 0) return;
    const auto num_rows = static_cast<std::size_t>(from.dim(0)),
               row_bytes = static_cast<std::size_t>(from.bytes()) / num_rows;
    const auto pitch = [&](const View& view) {
      return num_rows == 1 ? row_bytes : static_cast<std::size_t>(view.row_stride) * dtype_bytes(view.dtype);
    };
    CUDA_CHECK(cudaMemcpy2DAsync(to.data, pitch(to), from.data, pitch(from), row_bytes, num_rows, kind,
                                 stream_handle()));
    stream->wait();
  }
};

}  // namespace lmdeploy::ops
