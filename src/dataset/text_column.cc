#include "dataset/text_column.h"

#include "base/error.h"
#include "dataset/decompress.h"
#include "dataset/json_lines.h"
#include "dataset/parquet_column.h"

namespace lmdeploy {
namespace {

constexpr std::string_view kBetweenRows = "\n\n";

class RowJoiner {
 public:
  explicit RowJoiner(std::size_t max_bytes) : max_bytes_(max_bytes) {}

  bool add(std::string_view row) {
    const std::size_t room = max_bytes_ - text_.size();
    const std::size_t needed = row.size() + (first_ ? 0 : kBetweenRows.size());
    if (needed > room) return false;
    if (!first_) text_ += kBetweenRows;
    first_ = false;
    text_ += row;
    return true;
  }

  std::string take() { return std::move(text_); }

 private:
  std::size_t max_bytes_;
  std::string text_;
  bool first_ = true;
};

void read_rows(std::string_view file, std::string_view column, const RowSink& sink) {
  if (file.starts_with(kParquetMagic)) return read_parquet_column(file, column, sink);
  if (file.starts_with(kGzipMagic)) return read_json_lines(*open_gzip(file), column, sink);
  if (file.starts_with(kZstdMagic)) return read_json_lines(*open_zstd(file), column, sink);
  throw Error("it is no Parquet, gzip or Zstandard file", "Check where it came from.");
}

}  // namespace

std::string read_text_column(std::string_view file, std::string_view column, std::size_t max_bytes) {
  RowJoiner joiner(max_bytes);
  read_rows(file, column, [&](std::string_view row) { return joiner.add(row); });
  std::string text = joiner.take();
  if (text.find_first_not_of(" \n") == std::string::npos)
    throw Error(fmt::format("its column '{}' has no text", column), "Check where it came from.");
  return text;
}

}  // namespace lmdeploy
