#include "dataset/parquet_column.h"

#include <cstdint>
#include <vector>

#include "dataset/byte_cursor.h"
#include "dataset/parquet_footer.h"
#include "dataset/parquet_page.h"
#include "dataset/run_length.h"

namespace lmdeploy {
namespace {

// Strings behind their lengths, 4 bytes each.
class PlainReader {
 public:
  explicit PlainReader(std::string_view bytes) : in_(bytes) {}

  std::string_view next() {
    const auto length = in_.u32();
    if (!length) refuse_page("it has fewer strings than it says");
    const auto text = in_.take(*length);
    if (!text) refuse_page("a string ends behind it");
    return *text;
  }

 private:
  ByteCursor in_;
};

// One row group's part of the column.
class ChunkReader {
 public:
  ChunkReader(const ParquetChunk& chunk, bool nullable)
      : pages_(chunk.pages, chunk.codec, nullable), nullable_(nullable) {}

  // False: the sink wants no more.
  bool read(const RowSink& sink) {
    while (!pages_.at_end()) {
      ParquetPage page = pages_.next();
      if (page.kind == ParquetPage::Kind::dictionary) keep_dictionary(std::move(page));
      if (page.kind == ParquetPage::Kind::data && !read_page(page, sink)) return false;
    }
    return true;
  }

 private:
  void keep_dictionary(ParquetPage page) {
    dictionary_page_ = std::move(page);
    dictionary_.clear();
    PlainReader strings(dictionary_page_.values);
    for (std::int64_t i = 0; i < dictionary_page_.num_values; ++i) dictionary_.push_back(strings.next());
  }

  bool read_page(const ParquetPage& page, const RowSink& sink) const {
    if (!page.by_dictionary) {
      PlainReader strings(page.values);
      return read_values(page, sink, [&] { return strings.next(); });
    }
    if (page.values.empty()) refuse_page("it has no width of its numbers");
    RunLengthReader places(std::string_view(page.values).substr(1), page.values[0]);
    return read_values(page, sink, [&] {
      const std::uint32_t place = places.next();
      if (place >= dictionary_.size()) refuse_page("it refers behind its dictionary");
      return dictionary_[place];
    });
  }

  template <class NextString>
  bool read_values(const ParquetPage& page, const RowSink& sink, const NextString& next_string) const {
    RunLengthReader levels(page.levels, 1);
    for (std::int64_t i = 0; i < page.num_values; ++i) {
      const bool is_null = nullable_ && levels.next() == 0;
      if (!sink(is_null ? std::string_view() : next_string())) return false;
    }
    return true;
  }

  ParquetPageReader pages_;
  bool nullable_;
  ParquetPage dictionary_page_;
  std::vector<std::string_view> dictionary_;  // in dictionary_page_
};

}  // namespace

void read_parquet_column(std::string_view file, std::string_view column, const RowSink& sink) {
  const ParquetColumn found = find_parquet_column(file, column);
  for (const ParquetChunk& chunk : found.chunks)
    if (!ChunkReader(chunk, found.nullable).read(sink)) return;
}

}  // namespace lmdeploy
