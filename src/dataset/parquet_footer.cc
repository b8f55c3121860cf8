#include "dataset/parquet_footer.h"

#include <cstring>
#include <optional>

#include "base/error.h"
#include "dataset/parquet_column.h"
#include "dataset/thrift_reader.h"

namespace lmdeploy {
namespace {

using Type = ThriftReader::Type;

// Ours have a few kilobytes; more would be memory for nothing.
constexpr std::size_t kMaxFooterBytes = 16 << 20;
constexpr std::size_t kMaxSchemaElements = 100'000;

constexpr std::int64_t kByteArray = 6;  // parquet.thrift's Type
constexpr std::int64_t kRequired = 0, kOptional = 1;

[[noreturn]] void refuse(const std::string& problem) {
  throw Error(problem, "Check where it came from.");
}

struct SchemaElement {
  std::string_view name;
  std::int64_t type = -1;
  std::int64_t repetition = -1;
  std::int64_t num_children = 0;
};

// ColumnMetaData of parquet.thrift, as far as it is needed.
struct ColumnMetadata {
  std::vector<std::string_view> path;
  std::int64_t codec = 0;
  std::int64_t num_bytes = 0;
  std::int64_t data_offset = 0;
  std::optional<std::int64_t> dictionary_offset;
};

SchemaElement read_schema_element(ThriftReader& in, Type type) {
  SchemaElement element;
  in.structure(type, [&](std::int64_t id, Type field) {
    switch (id) {
      case 1:
        element.type = in.integer(field);
        return true;
      case 3:
        element.repetition = in.integer(field);
        return true;
      case 4:
        element.name = in.binary(field);
        return true;
      case 5:
        element.num_children = in.integer(field);
        return true;
      default:
        return false;
    }
  });
  return element;
}

ColumnMetadata read_column_metadata(ThriftReader& in, Type type) {
  ColumnMetadata column;
  in.structure(type, [&](std::int64_t id, Type field) {
    switch (id) {
      case 3:
        in.list(field, [&](Type part) { column.path.push_back(in.binary(part)); });
        return true;
      case 4:
        column.codec = in.integer(field);
        return true;
      case 7:
        column.num_bytes = in.integer(field);
        return true;
      case 9:
        column.data_offset = in.integer(field);
        return true;
      case 11:
        column.dictionary_offset = in.integer(field);
        return true;
      default:
        return false;
    }
  });
  return column;
}

Codec codec_of(std::int64_t code) {
  switch (code) {
    case 0:
      return Codec::none;
    case 1:
      return Codec::snappy;
    case 2:
      return Codec::gzip;
    case 6:
      return Codec::zstd;
    default:
      refuse(fmt::format("its pages are packed in a way that is not built yet (codec {} of Parquet)", code));
  }
}

class FooterReader {
 public:
  FooterReader(std::string_view file, std::string_view name) : file_(file), name_(name) {}

  ParquetColumn read() {
    ThriftReader in(footer());
    in.structure(Type::structure, [&](std::int64_t id, Type field) {
      if (id != 2 && id != 4) return false;
      in.list(field,
              [&](Type element) { id == 2 ? add_schema_element(in, element) : add_row_group(in, element); });
      return true;
    });
    column_.nullable = find_element().repetition == kOptional;
    return std::move(column_);
  }

 private:
  // "PAR1" .. footer, its length in 4 bytes, "PAR1".
  std::string_view footer() const {
    constexpr std::size_t kTailBytes = sizeof(std::uint32_t) + kParquetMagic.size();
    if (file_.size() < kParquetMagic.size() + kTailBytes || !file_.ends_with(kParquetMagic))
      refuse("it is a Parquet file without its end");
    std::uint32_t length = 0;
    std::memcpy(&length, file_.data() + file_.size() - kTailBytes, sizeof length);
    if (length > kMaxFooterBytes || length > file_.size() - kParquetMagic.size() - kTailBytes)
      refuse(fmt::format("its Parquet footer cannot have {} bytes", length));
    return file_.substr(file_.size() - kTailBytes - length, length);
  }

  void add_schema_element(ThriftReader& in, Type type) {
    if (schema_.size() == kMaxSchemaElements) refuse("its schema has too many columns");
    schema_.push_back(read_schema_element(in, type));
  }

  void add_row_group(ThriftReader& in, Type type) {
    in.structure(type, [&](std::int64_t id, Type field) {
      if (id != 1) return false;
      in.list(field, [&](Type column) { add_chunk(in, column); });
      return true;
    });
  }

  void add_chunk(ThriftReader& in, Type type) {
    ColumnMetadata metadata;
    in.structure(type, [&](std::int64_t id, Type field) {
      if (id != 3) return false;
      metadata = read_column_metadata(in, field);
      return true;
    });
    if (metadata.path.size() != 1 || metadata.path[0] != name_) return;
    column_.chunks.push_back({codec_of(metadata.codec), pages_of(metadata)});
  }

  // A dictionary stands before the pages that use it. Some writers give 0 where there is none.
  std::string_view pages_of(const ColumnMetadata& metadata) const {
    std::int64_t begin = metadata.data_offset;
    const std::int64_t dictionary = metadata.dictionary_offset.value_or(0);
    if (dictionary > 0 && dictionary < begin) begin = dictionary;
    const auto size = static_cast<std::int64_t>(file_.size());
    if (begin < 0 || begin > size || metadata.num_bytes < 0 || metadata.num_bytes > size - begin)
      refuse("its column lies outside of the file");
    return file_.substr(static_cast<std::size_t>(begin), static_cast<std::size_t>(metadata.num_bytes));
  }

  // The schema is a tree in depth-first order; a name deeper down is another column.
  const SchemaElement& find_element() const {
    std::int64_t num_below = 0;  // elements to come below the one at the top
    for (std::size_t i = 1; i < schema_.size(); ++i) {
      const SchemaElement& element = schema_[i];
      if (element.num_children < 0 || element.num_children > std::ssize(schema_)) break;
      if (num_below == 0 && element.name == name_) return checked(element);
      num_below += element.num_children - (num_below > 0 ? 1 : 0);
    }
    refuse(fmt::format("it has no column '{}'", name_));
  }

  const SchemaElement& checked(const SchemaElement& element) const {
    const bool plain = element.repetition == kRequired || element.repetition == kOptional;
    if (element.type != kByteArray || element.num_children != 0 || !plain)
      refuse(fmt::format("its column '{}' holds no strings", name_));
    return element;
  }

  std::string_view file_, name_;
  std::vector<SchemaElement> schema_;
  ParquetColumn column_;
};

}  // namespace

ParquetColumn find_parquet_column(std::string_view file, std::string_view name) {
  return FooterReader(file, name).read();
}

}  // namespace lmdeploy
