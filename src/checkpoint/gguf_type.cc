#include "checkpoint/gguf_type.h"

#include <algorithm>
#include <vector>

#include "base/error.h"

namespace lmdeploy {
namespace {

constexpr GgufTypeInfo kTypes[] = {
    {GgufType::f32, "F32", 1, 4},       {GgufType::f16, "F16", 1, 2},
    {GgufType::bf16, "BF16", 1, 2},     {GgufType::q4_0, "Q4_0", 32, 18},
    {GgufType::q4_1, "Q4_1", 32, 20},   {GgufType::q5_0, "Q5_0", 32, 22},
    {GgufType::q5_1, "Q5_1", 32, 24},   {GgufType::q8_0, "Q8_0", 32, 34},
    {GgufType::q4_k, "Q4_K", 256, 144}, {GgufType::q5_k, "Q5_K", 256, 176},
    {GgufType::q6_k, "Q6_K", 256, 210},
};

struct Unsupported {
  std::uint32_t number;
  std::string_view name;
};
constexpr Unsupported kUnsupported[] = {
    {9, "Q8_1"},     {10, "Q2_K"},  {11, "Q3_K"},   {15, "Q8_K"},  {16, "IQ2_XXS"}, {17, "IQ2_XS"},
    {18, "IQ3_XXS"}, {19, "IQ1_S"}, {20, "IQ4_NL"}, {21, "IQ3_S"}, {22, "IQ2_S"},   {23, "IQ4_XS"},
    {24, "I8"},      {25, "I16"},   {26, "I32"},    {27, "I64"},   {28, "F64"},     {29, "IQ1_M"},
    {34, "TQ1_0"},   {35, "TQ2_0"}, {39, "MXFP4"},
};

}  // namespace

const GgufTypeInfo* find_gguf_type(std::uint32_t number) {
  const auto* found = std::find_if(std::begin(kTypes), std::end(kTypes), [number](const GgufTypeInfo& info) {
    return static_cast<std::uint32_t>(info.type) == number;
  });
  return found == std::end(kTypes) ? nullptr : found;
}

const GgufTypeInfo& gguf_type_info(GgufType type) {
  const GgufTypeInfo* found = find_gguf_type(static_cast<std::uint32_t>(type));
  CHECK(found != nullptr, "GGUF type {}", static_cast<std::uint32_t>(type));
  return *found;
}

std::string gguf_type_name(std::uint32_t number) {
  if (const GgufTypeInfo* found = find_gguf_type(number)) return std::string(found->name);
  for (const Unsupported& item : kUnsupported)
    if (item.number == number) return std::string(item.name);
  return fmt::format("number {}", number);
}

std::string supported_gguf_types() {
  std::vector<std::string_view> names;
  for (const GgufTypeInfo& info : kTypes) names.push_back(info.name);
  return fmt::format("{}", fmt::join(names, ", "));
}

}  // namespace lmdeploy
