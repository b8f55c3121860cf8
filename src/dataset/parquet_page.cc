#include "dataset/parquet_page.h"

#include "base/error.h"
#include "dataset/byte_cursor.h"
#include "dataset/thrift_reader.h"

namespace lmdeploy {
namespace {

using Type = ThriftReader::Type;

constexpr std::int64_t kMaxPageBytes = 64 << 20;  // writers make them of about 1 MiB

// parquet.thrift's PageType and Encoding.
constexpr std::int64_t kDataPage = 0, kDictionaryPage = 2, kDataPageV2 = 3;
constexpr std::int64_t kPlain = 0, kPlainDictionary = 2, kRunLengthDictionary = 8;

// PageHeader of parquet.thrift; what stands in the structure of each kind of page lies side by side.
struct Header {
  std::int64_t kind = -1;
  std::int64_t unpacked_bytes = -1;
  std::int64_t packed_bytes = -1;
  std::int64_t num_values = 0;
  std::int64_t encoding = -1;
  std::int64_t levels_bytes = 0;  // version 2
  bool packed = true;             // version 2
};

// The structures of data and dictionary pages agree in their first two fields.
void read_page_fields(ThriftReader& in, Type type, Header& header) {
  in.structure(type, [&](std::int64_t id, Type field) {
    if (id == 1) header.num_values = in.integer(field);
    if (id == 2) header.encoding = in.integer(field);
    return id == 1 || id == 2;
  });
}

void read_page_fields_v2(ThriftReader& in, Type type, Header& header) {
  in.structure(type, [&](std::int64_t id, Type field) {
    switch (id) {
      case 1:
        header.num_values = in.integer(field);
        return true;
      case 4:
        header.encoding = in.integer(field);
        return true;
      case 5:
        header.levels_bytes = in.integer(field);
        return true;
      case 7:
        header.packed = ThriftReader::boolean(field);
        return true;
      default:
        return false;
    }
  });
}

Header read_header(ThriftReader& in) {
  Header header;
  in.structure(Type::structure, [&](std::int64_t id, Type field) {
    switch (id) {
      case 1:
        header.kind = in.integer(field);
        return true;
      case 2:
        header.unpacked_bytes = in.integer(field);
        return true;
      case 3:
        header.packed_bytes = in.integer(field);
        return true;
      case 5:
      case 7:
        read_page_fields(in, field, header);
        return true;
      case 8:
        read_page_fields_v2(in, field, header);
        return true;
      default:
        return false;
    }
  });
  return header;
}

void check(const Header& header, std::size_t num_left) {
  if (header.unpacked_bytes < 0 || header.unpacked_bytes > kMaxPageBytes)
    refuse_page(fmt::format("it cannot have {} bytes", header.unpacked_bytes));
  if (header.packed_bytes < 0 || header.packed_bytes > static_cast<std::int64_t>(num_left))
    refuse_page("it ends behind its column");
  if (header.num_values < 0 || header.num_values > INT32_MAX) refuse_page("it counts wrongly");
}

bool uses_dictionary(std::int64_t encoding) {
  if (encoding == kPlainDictionary || encoding == kRunLengthDictionary) return true;
  if (encoding == kPlain) return false;
  throw Error(fmt::format("its column has an encoding that is not built yet ({} of Parquet)", encoding),
              "Give a text file.");
}

// Version 1: the levels are packed with the values, behind their length.
void split_off_levels(ParquetPage& page) {
  ByteCursor in(page.values);
  const auto length = in.u32();
  if (!length) refuse_page("it has no levels");
  const auto levels = in.take(*length);
  if (!levels) refuse_page("its levels are too long");
  page.levels = *levels;
  page.values.erase(0, page.values.size() - in.rest().size());
}

// Version 2: they stand before the values and are not packed. A column at the top has no others.
void unpack_v2(ParquetPage& page, const Header& header, std::string_view packed, Codec codec) {
  if (header.levels_bytes < 0 || header.levels_bytes > std::ssize(packed) ||
      header.levels_bytes > header.unpacked_bytes)
    refuse_page("its levels are too long");
  const auto num_levels = static_cast<std::size_t>(header.levels_bytes);
  page.levels = packed.substr(0, num_levels);
  page.values = unpack(header.packed ? codec : Codec::none, packed.substr(num_levels),
                       static_cast<std::size_t>(header.unpacked_bytes) - num_levels);
}

}  // namespace

void refuse_page(const std::string& reason) {
  throw Error(fmt::format("a page of its column is damaged: {}", reason), "Fetch it again.");
}

ParquetPage ParquetPageReader::next() {
  ThriftReader in(rest_);
  const Header header = read_header(in);
  rest_.remove_prefix(in.num_read());
  check(header, rest_.size());
  const std::string_view packed = rest_.substr(0, static_cast<std::size_t>(header.packed_bytes));
  rest_.remove_prefix(packed.size());

  ParquetPage page;
  page.num_values = header.num_values;
  const bool is_data = header.kind == kDataPage || header.kind == kDataPageV2;
  if (is_data) {
    page.kind = ParquetPage::Kind::data;
    page.by_dictionary = uses_dictionary(header.encoding);
  } else if (header.kind == kDictionaryPage) {
    page.kind = ParquetPage::Kind::dictionary;
  }
  if (header.kind == kDataPageV2)
    unpack_v2(page, header, packed, codec_);
  else if (page.kind != ParquetPage::Kind::other)
    page.values = unpack(codec_, packed, static_cast<std::size_t>(header.unpacked_bytes));
  if (header.kind == kDataPage && nullable_) split_off_levels(page);
  return page;
}

}  // namespace lmdeploy
