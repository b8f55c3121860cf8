#include "dataset/thrift_reader.h"

#include "base/error.h"

namespace lmdeploy {
namespace {

constexpr int kMaxDepth = 32;
constexpr unsigned kMaxVarintBytes = 10;  // 64 bits

std::int64_t from_zigzag(std::uint64_t value) {
  return static_cast<std::int64_t>((value >> 1U) ^ (0 - (value & 1U)));
}

}  // namespace

void ThriftReader::require(bool condition) {
  if (!condition) throw Error("its Parquet headers are damaged", "Fetch it again.");
}

std::string_view ThriftReader::take(std::uint64_t size) {
  const auto taken = in_.take(size);
  require(taken.has_value());
  return *taken;
}

std::uint8_t ThriftReader::byte() {
  return static_cast<std::uint8_t>(take(1).front());
}

std::uint64_t ThriftReader::varint() {
  const auto value = in_.varint(kMaxVarintBytes);
  require(value.has_value());
  return *value;
}

std::int64_t ThriftReader::zigzag() {
  return from_zigzag(varint());
}

std::int64_t ThriftReader::integer(Type type) {
  if (type == Type::byte) return static_cast<std::int8_t>(byte());
  require(type == Type::i16 || type == Type::i32 || type == Type::i64);
  return zigzag();
}

std::string_view ThriftReader::binary(Type type) {
  require(type == Type::binary);
  return take(varint());
}

bool ThriftReader::boolean(Type type) {
  require(type == Type::boolean_true || type == Type::boolean_false);
  return type == Type::boolean_true;
}

ThriftReader::Field ThriftReader::field(std::int64_t last_id) {
  const std::uint8_t head = byte();
  const auto type = static_cast<Type>(head & 0x0fU);
  if (type == Type::stop) return {0, type};
  const unsigned delta = head >> 4U;
  // A wild identifier is no field of ours, and the sum must not overflow.
  const std::int64_t id = delta != 0 ? last_id + delta : zigzag();
  require(id >= INT16_MIN && id <= INT16_MAX);
  return {id, type};
}

ThriftReader::ListHeader ThriftReader::list_header() {
  const std::uint8_t head = byte();
  const unsigned size = head >> 4U;
  const auto type = static_cast<Type>(head & 0x0fU);
  return {size == 15 ? varint() : size, type};
}

void ThriftReader::skip(Type type, int depth) {
  require(depth < kMaxDepth);
  switch (type) {
    case Type::boolean_true:
    case Type::boolean_false:
      return;
    case Type::byte:
      take(1);
      return;
    case Type::i16:
    case Type::i32:
    case Type::i64:
      varint();
      return;
    case Type::floating:
      take(sizeof(double));
      return;
    case Type::binary:
      take(varint());
      return;
    case Type::list:
    case Type::set: {
      const ListHeader header = list_header();
      for (std::uint64_t i = 0; i < header.size; ++i) skip_element(header.type, depth);
      return;
    }
    case Type::structure:
      for (Field next = field(0); next.type != Type::stop; next = field(next.id)) skip(next.type, depth + 1);
      return;
    case Type::stop:
    case Type::map:  // Parquet has none
      break;
  }
  require(false);
}

// In a list a boolean takes a byte.
void ThriftReader::skip_element(Type type, int depth) {
  if (type == Type::boolean_true || type == Type::boolean_false) type = Type::byte;
  skip(type, depth + 1);
}

}  // namespace lmdeploy
