#pragma once
// Thrift's compact protocol, in which Parquet writes its headers
// (https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md). Private to dataset/.
#include <cstdint>
#include <string_view>

#include "dataset/byte_cursor.h"

namespace lmdeploy {

// Reads values one after another. Every call throws Error where the bytes end or are of another type.
class ThriftReader {
 public:
  enum class Type : std::uint8_t {
    stop = 0,
    boolean_true = 1,  // a field's value is its type
    boolean_false = 2,
    byte = 3,
    i16 = 4,
    i32 = 5,
    i64 = 6,
    floating = 7,
    binary = 8,
    list = 9,
    set = 10,
    map = 11,
    structure = 12,
  };

  explicit ThriftReader(std::string_view bytes) : num_bytes_(bytes.size()), in_(bytes) {}

  std::int64_t integer(Type type);
  std::string_view binary(Type type);
  static bool boolean(Type type);  // of a field

  // Calls visit(id, type) for each field of a structure; false: it did not read the value, which is skipped.
  template <class Visit>
  void structure(Type type, Visit&& visit);

  // Calls visit(type) for each element, which it has to read.
  template <class Visit>
  void list(Type type, Visit&& visit);

  std::size_t num_read() const noexcept { return num_bytes_ - in_.rest().size(); }  // bytes

 private:
  struct Field {
    std::int64_t id;
    Type type;
  };
  struct ListHeader {
    std::uint64_t size;
    Type type;
  };

  std::uint8_t byte();
  std::uint64_t varint();
  std::int64_t zigzag();
  std::string_view take(std::uint64_t size);
  Field field(std::int64_t last_id);
  ListHeader list_header();
  void skip(Type type, int depth = 0);
  void skip_element(Type type, int depth);
  static void require(bool condition);

  std::size_t num_bytes_;
  ByteCursor in_;
};

template <class Visit>
void ThriftReader::structure(Type type, Visit&& visit) {
  require(type == Type::structure);
  for (Field next = field(0); next.type != Type::stop; next = field(next.id))
    if (!visit(next.id, next.type)) skip(next.type);
}

template <class Visit>
void ThriftReader::list(Type type, Visit&& visit) {
  require(type == Type::list);
  const ListHeader header = list_header();
  for (std::uint64_t i = 0; i < header.size; ++i) visit(header.type);
}

}  // namespace lmdeploy
