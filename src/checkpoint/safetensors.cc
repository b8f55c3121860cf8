#include "checkpoint/safetensors.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <tuple>

#include "base/error.h"
#include "checkpoint/json_file.h"

namespace lmdeploy {
namespace {

using nlohmann::json;

constexpr std::uint64_t kLengthBytes = 8;               // the header's length, little-endian
constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;  // the format's own limit
constexpr std::int64_t kMaxBits = std::numeric_limits<std::int64_t>::max();

struct Spelling {
  std::string_view name;
  std::int64_t bits;
  std::optional<DType> dtype;
};

constexpr Spelling kSpellings[] = {
    {"F32", 32, DType::f32},      {"F16", 16, DType::f16},      {"BF16", 16, DType::bf16},
    {"I32", 32, DType::i32},      {"I8", 8, DType::i8},         {"U8", 8, DType::u8},
    {"BOOL", 8, std::nullopt},    {"I16", 16, std::nullopt},    {"U16", 16, std::nullopt},
    {"U32", 32, std::nullopt},    {"I64", 64, std::nullopt},    {"U64", 64, std::nullopt},
    {"F64", 64, std::nullopt},    {"C64", 64, std::nullopt},    {"F8_E4M3", 8, DType::f8_e4m3},
    {"F8_E5M2", 8, std::nullopt}, {"F8_E8M0", 8, std::nullopt}, {"F6_E2M3", 6, std::nullopt},
    {"F6_E3M2", 6, std::nullopt}, {"F4", 4, std::nullopt},
};

[[noreturn]] void damaged(const std::string& origin, const std::string& problem) {
  throw Error(fmt::format("{}: {}", origin, problem), "The file is damaged or truncated; fetch it again.");
}

const Spelling* find_spelling(std::string_view name) {
  const auto* found = std::find_if(std::begin(kSpellings), std::end(kSpellings),
                                   [name](const Spelling& spelling) { return spelling.name == name; });
  return found == std::end(kSpellings) ? nullptr : found;
}

std::uint64_t get_unsigned(const json& value, const std::string& origin, const std::string& what) {
  if (!value.is_number_unsigned())
    damaged(origin,
            fmt::format("{} must be a whole number that is not negative, found {}", what, value.dump()));
  return value.get<std::uint64_t>();
}

const json& get_field(const json& object, const char* field, const std::string& origin,
                      const std::string& name) {
  const auto found = object.find(field);
  if (found == object.end()) damaged(origin, fmt::format("tensor {} has no \"{}\"", name, field));
  return *found;
}

// Elements x bits of the shape, or an Error where it does not fit.
std::int64_t checked_bits(const std::vector<std::int64_t>& shape, std::int64_t bits_per_element,
                          const std::string& origin, const std::string& name) {
  std::int64_t bits = bits_per_element;
  for (const std::int64_t dim : shape)
    if (__builtin_mul_overflow(bits, dim, &bits))
      damaged(origin, fmt::format("the shape of tensor {} overflows ({} bits at most)", name, kMaxBits));
  return bits;
}

SafetensorsEntry parse_entry(const std::string& name, const json& object, const std::string& origin) {
  if (!object.is_object()) damaged(origin, fmt::format("tensor {} is not described by an object", name));
  SafetensorsEntry entry;
  entry.name = name;

  const json& dtype = get_field(object, "dtype", origin, name);
  if (!dtype.is_string()) damaged(origin, fmt::format("the dtype of tensor {} is not a string", name));
  entry.dtype = dtype.get<std::string>();

  const json& shape = get_field(object, "shape", origin, name);
  if (!shape.is_array()) damaged(origin, fmt::format("the shape of tensor {} is not a list", name));
  for (const json& dim : shape) {
    const std::uint64_t size = get_unsigned(dim, origin, fmt::format("a dimension of tensor {}", name));
    if (size > static_cast<std::uint64_t>(kMaxBits))
      damaged(origin, fmt::format("the shape of tensor {} overflows", name));
    entry.shape.push_back(static_cast<std::int64_t>(size));
  }

  const json& offsets = get_field(object, "data_offsets", origin, name);
  if (!offsets.is_array() || offsets.size() != 2)
    damaged(origin, fmt::format("data_offsets of tensor {} must be [begin, end]", name));
  const std::uint64_t begin = get_unsigned(offsets[0], origin, fmt::format("data_offsets of {}", name));
  const std::uint64_t end = get_unsigned(offsets[1], origin, fmt::format("data_offsets of {}", name));
  if (end < begin)
    damaged(origin, fmt::format("tensor {} ends before it begins ([{}, {}])", name, begin, end));
  entry.offset = begin;
  entry.bytes = end - begin;

  if (const Spelling* spelling = find_spelling(entry.dtype)) {
    const std::int64_t bits = checked_bits(entry.shape, spelling->bits, origin, name);
    if (bits % 8 != 0 || static_cast<std::uint64_t>(bits / 8) != entry.bytes)
      damaged(origin,
              fmt::format("tensor {} of type {} takes {} bits by its shape but {} bytes by its offsets", name,
                          entry.dtype, bits, entry.bytes));
  }
  return entry;
}

// Offsets count from the end of the header until here; the data must be covered exactly once.
void check_layout(std::vector<SafetensorsEntry>& entries, std::uint64_t data_bytes,
                  const std::string& origin) {
  std::sort(entries.begin(), entries.end(), [](const SafetensorsEntry& a, const SafetensorsEntry& b) {
    return std::tie(a.offset, a.bytes, a.name) < std::tie(b.offset, b.bytes, b.name);
  });
  std::uint64_t expected = 0;
  for (const SafetensorsEntry& entry : entries) {
    if (entry.offset < expected)
      damaged(origin, fmt::format("tensor {} overlaps the one before it (begins at {}, expected {})",
                                  entry.name, entry.offset, expected));
    if (entry.offset > expected)
      damaged(origin,
              fmt::format("a hole of {} bytes before tensor {}", entry.offset - expected, entry.name));
    if (entry.bytes > data_bytes - expected)
      damaged(origin, fmt::format("tensor {} ends at byte {} of the data, past its {} bytes", entry.name,
                                  entry.offset + entry.bytes, data_bytes));
    expected += entry.bytes;
  }
  if (expected != data_bytes)
    damaged(origin, fmt::format("{} bytes follow the last tensor", data_bytes - expected));
}

// The text of the header, checked to lie in the file.
std::string_view header_text(std::span<const std::byte> file, const std::string& origin) {
  const std::string_view text(reinterpret_cast<const char*>(file.data()), file.size());
  refuse_git_lfs_pointer(text.substr(0, 256), origin);
  if (file.size() < kLengthBytes)
    damaged(origin,
            fmt::format("a safetensors file has at least {} bytes, this one {}", kLengthBytes, file.size()));
  std::uint64_t length;
  std::memcpy(&length, file.data(), kLengthBytes);
  if (length > kMaxHeaderBytes)
    damaged(origin,
            fmt::format("the header claims {} bytes, at most {} are allowed", length, kMaxHeaderBytes));
  if (length > file.size() - kLengthBytes)
    damaged(origin, fmt::format("the header claims {} bytes, the file has only {}", length, file.size()));
  return text.substr(kLengthBytes, length);
}

}  // namespace

std::vector<SafetensorsEntry> parse_safetensors(std::span<const std::byte> file, const std::string& origin) {
  const std::string_view text = header_text(file, origin);
  const json header = parse_json(text, origin + " (header)");
  if (!header.is_object()) damaged(origin, "the header is not a JSON object");
  const std::uint64_t data_start = kLengthBytes + text.size();
  std::vector<SafetensorsEntry> entries;
  for (const auto& [name, object] : header.items())
    if (name != "__metadata__") entries.push_back(parse_entry(name, object, origin));
  check_layout(entries, file.size() - data_start, origin);
  for (SafetensorsEntry& entry : entries) entry.offset += data_start;
  return entries;
}

std::optional<DType> find_dtype_of_safetensors(std::string_view spelling) {
  const Spelling* found = find_spelling(spelling);
  return found == nullptr ? std::nullopt : found->dtype;
}

std::string_view safetensors_spelling(DType dtype) {
  for (const Spelling& spelling : kSpellings)
    if (spelling.dtype == dtype) return spelling.name;
  CHECK(false, "dtype {} has no safetensors name", dtype_name(dtype));
  return {};
}

}  // namespace lmdeploy
