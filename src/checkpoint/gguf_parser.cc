#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <set>
#include <string_view>

#include "base/error.h"
#include "checkpoint/gguf.h"
#include "checkpoint/json_file.h"

namespace lmdeploy {
namespace {

constexpr std::uint64_t kDefaultAlignment = 32;
constexpr std::uint64_t kMaxAlignment = 1 << 20;
constexpr std::size_t kMaxRank = 4;
constexpr std::uint64_t kMaxNameBytes = 65535;

enum class ValueType : std::uint32_t {
  u8,
  i8,
  u16,
  i16,
  u32,
  i32,
  f32,
  boolean,
  string,
  array,
  u64,
  i64,
  f64
};

// Reads a header front to back; whatever would pass the end throws.
class Reader {
 public:
  Reader(std::span<const std::byte> file, const std::string& origin) : file_(file), origin_(origin) {}

  [[noreturn]] void damaged(const std::string& problem) const {
    throw Error(fmt::format("{}: {}", origin_, problem), "The file is damaged or truncated; fetch it again.");
  }

  template <class T>
  T read() {
    T value;
    std::memcpy(&value, take(sizeof value), sizeof value);
    return value;
  }

  std::string read_string(std::uint64_t max_bytes) {
    const auto length = read<std::uint64_t>();
    if (length > max_bytes)
      damaged(
          fmt::format("a name of {} bytes at byte {}; at most {} are allowed", length, position_, max_bytes));
    const auto* start = reinterpret_cast<const char*>(take(length));
    return {start, static_cast<std::size_t>(length)};
  }

  // A count of things that take at least min_bytes each: it cannot be more than the rest of the file holds.
  std::uint64_t read_count(const char* what, std::uint64_t min_bytes) {
    const auto count = read<std::uint64_t>();
    if (count > remaining() / min_bytes)
      damaged(
          fmt::format("the file claims {} {}, more than its {} bytes can hold", count, what, file_.size()));
    return count;
  }

  std::uint64_t position() const { return position_; }
  std::uint64_t remaining() const { return file_.size() - position_; }
  const std::string& origin() const { return origin_; }

 private:
  const std::byte* take(std::uint64_t count) {
    if (count > remaining())
      damaged(
          fmt::format("{} bytes are expected at byte {}, the file has {}", count, position_, file_.size()));
    const std::byte* start = file_.data() + position_;
    position_ += count;
    return start;
  }

  std::span<const std::byte> file_;
  const std::string& origin_;
  std::uint64_t position_ = 0;
};

double shortest_double(float value) {
  return std::isfinite(value) ? std::stod(fmt::format("{}", value)) : static_cast<double>(value);
}

std::int64_t read_int(Reader& reader, ValueType type) {
  switch (type) {
    case ValueType::u8:
      return reader.read<std::uint8_t>();
    case ValueType::i8:
      return reader.read<std::int8_t>();
    case ValueType::u16:
      return reader.read<std::uint16_t>();
    case ValueType::i16:
      return reader.read<std::int16_t>();
    case ValueType::u32:
      return reader.read<std::uint32_t>();
    case ValueType::i32:
      return reader.read<std::int32_t>();
    case ValueType::i64:
      return reader.read<std::int64_t>();
    case ValueType::u64: {
      const auto value = reader.read<std::uint64_t>();
      if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
        reader.damaged(fmt::format("the number {} at byte {} is too large", value, reader.position()));
      return static_cast<std::int64_t>(value);
    }
    case ValueType::boolean:
      return reader.read<std::uint8_t>() != 0 ? 1 : 0;
    default:
      reader.damaged(fmt::format("unknown value type {} before byte {}", static_cast<std::uint32_t>(type),
                                 reader.position()));
  }
}

double read_float(Reader& reader, ValueType type) {
  return type == ValueType::f32 ? shortest_double(reader.read<float>()) : reader.read<double>();
}

bool is_float(ValueType type) {
  return type == ValueType::f32 || type == ValueType::f64;
}

// The file's own lengths bound every string: a chat template or a token has no other limit.
std::string read_text(Reader& reader) {
  return reader.read_string(reader.remaining());
}

GgufValue read_array(Reader& reader) {
  const auto type = static_cast<ValueType>(reader.read<std::uint32_t>());
  if (type == ValueType::array) reader.damaged("a list of lists in the metadata is not supported");
  if (type == ValueType::string) {
    // Not sized at once: a string object takes more memory than the empty string in the file.
    const std::uint64_t num_strings = reader.read_count("strings in a list", sizeof(std::uint64_t));
    std::vector<std::string> strings;
    for (std::uint64_t i = 0; i < num_strings; ++i) strings.push_back(read_text(reader));
    return strings;
  }
  const std::uint64_t count = reader.read_count("numbers in a list", 1);
  if (is_float(type)) {
    std::vector<double> numbers;
    for (std::uint64_t i = 0; i < count; ++i)
      numbers.push_back(type == ValueType::f32 ? static_cast<double>(reader.read<float>())
                                               : reader.read<double>());
    return numbers;
  }
  std::vector<std::int64_t> numbers;
  for (std::uint64_t i = 0; i < count; ++i) numbers.push_back(read_int(reader, type));
  return numbers;
}

GgufValue read_value(Reader& reader) {
  const auto type = static_cast<ValueType>(reader.read<std::uint32_t>());
  if (type == ValueType::array) return read_array(reader);
  if (type == ValueType::string) return read_text(reader);
  if (is_float(type)) return read_float(reader, type);
  const std::int64_t value = read_int(reader, type);
  if (type == ValueType::boolean) return value != 0;
  return value;
}

void check_start(Reader& reader) {
  if (reader.remaining() < 4 || reader.read<std::uint32_t>() != 0x46554747)  // "GGUF"
    throw Error(fmt::format("{} is not a GGUF file", reader.origin()), "Give a file that begins with GGUF.");
  const auto version = reader.read<std::uint32_t>();
  if (version == 2 || version == 3) return;
  const bool big_endian = (version & 0xffffU) == 0;
  throw Error(fmt::format("{}: GGUF version {} is not supported", reader.origin(),
                          big_endian ? "of a big-endian machine" : std::to_string(version)),
              "Versions 2 and 3, little-endian, are read; convert the model again with a current llama.cpp.");
}

std::uint64_t bytes_of(const GgufTensor& tensor, const Reader& reader) {
  std::int64_t elements = 1;
  for (const std::int64_t dim : tensor.shape)
    if (dim <= 0 || __builtin_mul_overflow(elements, dim, &elements))
      reader.damaged(fmt::format("the shape of tensor {} is empty or overflows", tensor.name));
  const GgufTypeInfo& info = gguf_type_info(tensor.type);
  if (tensor.row_len() % info.block_len != 0)
    reader.damaged(fmt::format("rows of tensor {} have {} elements; {} needs a multiple of {}", tensor.name,
                               tensor.row_len(), info.name, info.block_len));
  std::int64_t bytes;
  if (__builtin_mul_overflow(elements / info.block_len, info.block_bytes, &bytes))
    reader.damaged(fmt::format("the size of tensor {} overflows", tensor.name));
  return static_cast<std::uint64_t>(bytes);
}

GgufTensor read_tensor(Reader& reader) {
  GgufTensor tensor;
  tensor.name = reader.read_string(kMaxNameBytes);
  const auto rank = reader.read<std::uint32_t>();
  if (rank == 0 || rank > kMaxRank)
    reader.damaged(
        fmt::format("tensor {} has {} dimensions; 1 to {} are allowed", tensor.name, rank, kMaxRank));
  for (std::uint32_t i = 0; i < rank; ++i) {
    const auto dim = reader.read<std::uint64_t>();
    if (dim > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
      reader.damaged(fmt::format("the shape of tensor {} overflows", tensor.name));
    tensor.shape.push_back(static_cast<std::int64_t>(dim));
  }
  std::reverse(tensor.shape.begin(), tensor.shape.end());
  const auto number = reader.read<std::uint32_t>();
  const GgufTypeInfo* info = find_gguf_type(number);
  if (info == nullptr)
    throw Error(fmt::format("{}: tensor {} has the type {}, which is not supported", reader.origin(),
                            tensor.name, gguf_type_name(number)),
                fmt::format("Supported are {}.", supported_gguf_types()));
  tensor.type = info->type;
  tensor.offset = reader.read<std::uint64_t>();
  tensor.bytes = bytes_of(tensor, reader);
  return tensor;
}

std::uint64_t alignment_of(const GgufMetadata& metadata, const Reader& reader) {
  const std::int64_t value =
      metadata.find_int("general.alignment").value_or(static_cast<std::int64_t>(kDefaultAlignment));
  if (value <= 0 || static_cast<std::uint64_t>(value) > kMaxAlignment || (value & (value - 1)) != 0)
    reader.damaged(fmt::format("general.alignment {} is not a power of two up to {}", value, kMaxAlignment));
  return static_cast<std::uint64_t>(value);
}

// Turns offsets into the data section into offsets into the file, and checks them.
void place_tensors(std::vector<GgufTensor>& tensors, std::uint64_t alignment, const Reader& reader,
                   std::uint64_t file_bytes) {
  const std::uint64_t data_start = (reader.position() + alignment - 1) / alignment * alignment;
  std::vector<const GgufTensor*> by_offset;
  for (GgufTensor& tensor : tensors) {
    if (tensor.offset % alignment != 0)
      reader.damaged(
          fmt::format("tensor {} begins at {}, not a multiple of {}", tensor.name, tensor.offset, alignment));
    if (data_start > file_bytes || tensor.offset > file_bytes - data_start ||
        tensor.bytes > file_bytes - data_start - tensor.offset)
      reader.damaged(fmt::format("tensor {} ({} bytes from {}) ends past the file's {} bytes", tensor.name,
                                 tensor.bytes, tensor.offset, file_bytes));
    tensor.offset += data_start;
    by_offset.push_back(&tensor);
  }
  std::sort(by_offset.begin(), by_offset.end(),
            [](const GgufTensor* a, const GgufTensor* b) { return a->offset < b->offset; });
  for (std::size_t i = 1; i < by_offset.size(); ++i)
    if (by_offset[i - 1]->offset + by_offset[i - 1]->bytes > by_offset[i]->offset)
      reader.damaged(fmt::format("tensors {} and {} overlap", by_offset[i - 1]->name, by_offset[i]->name));
}

void refuse_split_file(const GgufMetadata& metadata) {
  const std::int64_t count = metadata.find_int("split.count").value_or(0);
  if (count > 1)
    throw Error(fmt::format("{} is one of {} parts of a split model", metadata.origin(), count),
                "Join the parts first: llama-gguf-split --merge FIRST-PART WHOLE.gguf");
}

}  // namespace

GgufHeader parse_gguf(std::span<const std::byte> file, const std::string& origin) {
  refuse_git_lfs_pointer(
      {reinterpret_cast<const char*>(file.data()), std::min<std::size_t>(file.size(), 256)}, origin);
  Reader reader(file, origin);
  check_start(reader);
  // name length, rank, one dimension, type, offset; key length, type, one byte
  const std::uint64_t num_tensors = reader.read_count("tensors", 8 + 4 + 8 + 4 + 8);
  const std::uint64_t num_values = reader.read_count("metadata values", 8 + 4 + 1);
  GgufHeader header{GgufMetadata(origin), {}};
  for (std::uint64_t i = 0; i < num_values; ++i) {
    const std::string key = reader.read_string(kMaxNameBytes);
    header.metadata.add(key, read_value(reader));
  }
  refuse_split_file(header.metadata);
  std::set<std::string> names;
  for (std::uint64_t i = 0; i < num_tensors; ++i) {
    header.tensors.push_back(read_tensor(reader));
    if (!names.insert(header.tensors.back().name).second)
      reader.damaged(fmt::format("tensor {} stands twice", header.tensors.back().name));
  }
  place_tensors(header.tensors, alignment_of(header.metadata, reader), reader, file.size());
  return header;
}

}  // namespace lmdeploy
