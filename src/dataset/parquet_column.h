#pragma once
// The rows of one column of strings in a Parquet file. Private to dataset/: others use read_text_column().
#include <string_view>

#include "dataset/text_column.h"

namespace lmdeploy {

inline constexpr std::string_view kParquetMagic = "PAR1";

// Reads what the usual writers make of strings: packed by Snappy, gzip, Zstandard or not, plain or with a
// dictionary, pages of both versions. A null counts as an empty string. Throws Error.
void read_parquet_column(std::string_view file, std::string_view column, const RowSink& sink);

}  // namespace lmdeploy
