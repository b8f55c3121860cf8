#include "ops/cuda/cublas_lt.h"

#include <cublasLt.h>
#include <dlfcn.h>

#include <algorithm>
#include <compare>
#include <map>
#include <memory>
#include <mutex>

namespace lmdeploy::ops::cuda {
namespace {

constexpr std::size_t kWorkspaceBytes = std::size_t{32} << 20;

class Library {
 public:
  Library() {
    constexpr const char* kNames[] = {
        "libcublasLt.so.13", "libcublasLt.so.12", "/usr/local/cuda/lib64/libcublasLt.so.13",
        "/usr/local/cuda/lib64/libcublasLt.so.12", "/usr/local/cuda/lib64/libcublasLt.so"};
    for (const char* name : kNames)
      if (library_ = dlopen(name, RTLD_NOW | RTLD_LOCAL); library_ != nullptr) break;
    if (library_ == nullptr)
      throw Error(
          "Prompts are computed by cuBLASLt, but neither the loader nor /usr/local/cuda/lib64 finds "
          "libcublasLt.so.13 "
          "or .so.12.",
          "Install cuda-libraries-13-0 of the CUDA toolkit, or `pip install nvidia-cublas` and put its lib "
          "folder into "
          "LD_LIBRARY_PATH.");
    find(create, "cublasLtCreate");
    find(create_desc, "cublasLtMatmulDescCreate");
    find(set_desc, "cublasLtMatmulDescSetAttribute");
    find(create_layout, "cublasLtMatrixLayoutCreate");
    find(destroy_layout, "cublasLtMatrixLayoutDestroy");
    find(create_preference, "cublasLtMatmulPreferenceCreate");
    find(destroy_preference, "cublasLtMatmulPreferenceDestroy");
    find(set_preference, "cublasLtMatmulPreferenceSetAttribute");
    find(get_heuristic, "cublasLtMatmulAlgoGetHeuristic");
    find(matmul, "cublasLtMatmul");
    find(status_string, "cublasLtGetStatusString");
  }

  void check(cublasStatus_t status, const char* call) const {
    if (status != CUBLAS_STATUS_SUCCESS) throw Error(fmt::format("{}: {}", call, status_string(status)));
  }

  decltype(&cublasLtCreate) create = nullptr;
  decltype(&cublasLtMatmulDescCreate) create_desc = nullptr;
  decltype(&cublasLtMatmulDescSetAttribute) set_desc = nullptr;
  decltype(&cublasLtMatrixLayoutCreate) create_layout = nullptr;
  decltype(&cublasLtMatrixLayoutDestroy) destroy_layout = nullptr;
  decltype(&cublasLtMatmulPreferenceCreate) create_preference = nullptr;
  decltype(&cublasLtMatmulPreferenceDestroy) destroy_preference = nullptr;
  decltype(&cublasLtMatmulPreferenceSetAttribute) set_preference = nullptr;
  decltype(&cublasLtMatmulAlgoGetHeuristic) get_heuristic = nullptr;
  decltype(&cublasLtMatmul) matmul = nullptr;
  decltype(&cublasLtGetStatusString) status_string = nullptr;

 private:
  template <class F>
  void find(F& function, const char* name) {
    function = reinterpret_cast<F>(dlsym(library_, name));
    if (function == nullptr)
      throw Error(fmt::format("libcublasLt has no {}.", name), "Install version 12 or 13 of it.");
  }

  void* library_ = nullptr;
};

// As far as a pointer and a distance between rows are both multiples of: 4 .. 16 bytes.
std::uint32_t alignment_of(const void* p, std::int64_t row_bytes) {
  constexpr std::uintptr_t kMost = 16;
  const std::uintptr_t bits =
      reinterpret_cast<std::uintptr_t>(p) | static_cast<std::uintptr_t>(row_bytes) | kMost;
  return static_cast<std::uint32_t>(bits & (~bits + 1));
}

// What decides which kernel computes a product. Numbers of tokens are taken together: a prompt of another
// length shall neither ask for a kernel again, nor load another one, which takes milliseconds.
struct Key {
  DType dtype, y_dtype;
  std::int64_t m, n, k, x_stride, y_stride;
  std::uint32_t x_alignment, w_alignment, y_alignment;

  auto operator<=>(const Key&) const = default;
};

// The largest of the numbers of tokens that share a kernel.
std::int64_t bucket_of(std::int64_t m) {
  const std::int64_t unit = m <= 64 ? 16 : m <= 512 ? 64 : m <= 2048 ? 256 : 1024;
  return (m + unit - 1) / unit * unit;
}

Key key_of(const Matmul& p) {
  const auto bytes = static_cast<std::int64_t>(dtype_bytes(p.dtype)),
             y_bytes = static_cast<std::int64_t>(dtype_bytes(p.y_dtype));
  return {p.dtype,
          p.y_dtype,
          bucket_of(p.m),
          p.n,
          p.k,
          p.x_stride,
          p.y_stride,
          alignment_of(p.x, p.x_stride * bytes),
          alignment_of(p.w, p.k * bytes),
          alignment_of(p.y, p.y_stride * y_bytes)};
}

cudaDataType_t cuda_type(DType dtype) {
  return dtype == DType::bf16 ? CUDA_R_16BF : dtype == DType::f16 ? CUDA_R_16F : CUDA_R_32F;
}

class Layout {
 public:
  Layout(const Library& lib, DType dtype, std::int64_t rows, std::int64_t columns, std::int64_t stride)
      : lib_(lib) {
    lib.check(lib.create_layout(&layout_, cuda_type(dtype), static_cast<std::uint64_t>(rows),
                                static_cast<std::uint64_t>(columns), stride),
              "cublasLtMatrixLayoutCreate");
  }
  ~Layout() { lib_.destroy_layout(layout_); }
  Layout(const Layout&) = delete;
  Layout& operator=(const Layout&) = delete;

  cublasLtMatrixLayout_t get() const { return layout_; }

 private:
  const Library& lib_;
  cublasLtMatrixLayout_t layout_ = nullptr;
};

// cuBLAS counts by columns, so a row-major matrix is its transpose there: y^T [n, m] = W x^T.
struct Layouts {
  Layout w, x, y;

  Layouts(const Library& lib, const Key& key, std::int64_t m)
      : w(lib, key.dtype, key.k, key.n, key.k),
        x(lib, key.dtype, key.k, m, key.x_stride),
        y(lib, key.y_dtype, key.n, m, key.y_stride) {}
};

// The kernel for a Key's m tokens. Never freed: as many as there are shapes.
struct Plan {
  cublasLtMatmulDesc_t desc = nullptr;
  cublasLtMatmulAlgo_t algo{};
  bool found = false;
};

Plan make_plan(const Library& lib, cublasLtHandle_t handle, const Key& key) {
  Plan plan;
  lib.check(lib.create_desc(&plan.desc, CUBLAS_COMPUTE_32F, CUDA_R_32F), "cublasLtMatmulDescCreate");
  const cublasOperation_t transposed = CUBLAS_OP_T;
  lib.check(lib.set_desc(plan.desc, CUBLASLT_MATMUL_DESC_TRANSA, &transposed, sizeof transposed),
            "cublasLtMatmulDescSetAttribute");
  const Layouts layouts(lib, key, key.m);

  cublasLtMatmulPreference_t preference = nullptr;
  lib.check(lib.create_preference(&preference), "cublasLtMatmulPreferenceCreate");
  const auto prefer = [&](cublasLtMatmulPreferenceAttributes_t attribute, auto value) {
    lib.check(lib.set_preference(preference, attribute, &value, sizeof value),
              "cublasLtMatmulPreferenceSetAttribute");
  };
  prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, std::uint64_t{kWorkspaceBytes});
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, key.w_alignment);
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, key.x_alignment);
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, key.y_alignment);
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, key.y_alignment);
  cublasLtMatmulHeuristicResult_t result{};
  int num_results = 0;
  const cublasStatus_t status =
      lib.get_heuristic(handle, plan.desc, layouts.w.get(), layouts.x.get(), layouts.y.get(), layouts.y.get(),
                        preference, 1, &result, &num_results);
  lib.destroy_preference(preference);
  plan.found = status == CUBLAS_STATUS_SUCCESS && num_results == 1 && result.state == CUBLAS_STATUS_SUCCESS;
  plan.algo = result.algo;
  return plan;
}

class Card {
 public:
  explicit Card(const Library& lib) : lib_(lib) { lib_.check(lib_.create(&handle_), "cublasLtCreate"); }

  const Plan& plan(const Key& key) {
    const std::lock_guard lock(mutex_);
    const auto [it, is_new] = plans_.try_emplace(key);
    if (is_new) it->second = make_plan(lib_, handle_, key);
    return it->second;
  }
  cublasLtHandle_t handle() const { return handle_; }

 private:
  const Library& lib_;
  cublasLtHandle_t handle_ = nullptr;
  std::mutex mutex_;
  std::map<Key, Plan> plans_;
};

const Library& library() {
  static const Library instance;
  return instance;
}

Card& current_card() {
  static std::mutex mutex;
  static std::map<int, std::unique_ptr<Card>> cards;
  int device = 0;
  CUDA_CHECK(cudaGetDevice(&device));
  const std::lock_guard lock(mutex);
  auto& card = cards[device];
  if (card == nullptr) card = std::make_unique<Card>(library());
  return *card;
}

// cuBLASLt wants its workspace aligned to 256 bytes.
void* take_workspace(Ctx& ctx) {
  constexpr std::size_t kAlignment = 256;
  std::size_t space = kWorkspaceBytes + kAlignment;
  void* memory = ctx.workspace->take(DType::u8, {static_cast<std::int64_t>(space)}).data;
  return std::align(kAlignment, kWorkspaceBytes, memory, space);
}

}  // namespace

bool cublas_matmul(Ctx& ctx, const Matmul& matmul) {
  const Library& lib = library();
  Card& card = current_card();
  Key key = key_of(matmul);
  const Layouts layouts(lib, key, matmul.m);
  const Workspace::Scope scope(*ctx.workspace);
  void* const workspace = take_workspace(ctx);
  const float one = 1, beta = matmul.accumulate ? 1 : 0;
  // What was found for the bucket fits all of it; should a kernel not, one of the very number is asked for.
  for (const std::int64_t m : {key.m, matmul.m}) {
    key.m = m;
    const Plan& plan = card.plan(key);
    if (!plan.found) continue;
    const cublasStatus_t status = lib.matmul(
        card.handle(), plan.desc, &one, matmul.w, layouts.w.get(), matmul.x, layouts.x.get(), &beta, matmul.y,
        layouts.y.get(), matmul.y, layouts.y.get(), &plan.algo, workspace, kWorkspaceBytes, stream_of(ctx));
    if (status == CUBLAS_STATUS_SUCCESS) return true;
    if (status != CUBLAS_STATUS_NOT_SUPPORTED && status != CUBLAS_STATUS_INVALID_VALUE)
      lib.check(status, "cublasLtMatmul");
  }
  return false;
}

}  // namespace lmdeploy::ops::cuda
