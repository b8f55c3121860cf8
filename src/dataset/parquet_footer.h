#pragma once
// Where a column lies in a Parquet file (https://github.com/apache/parquet-format). Private to dataset/.
#include <string_view>
#include <vector>

#include "dataset/decompress.h"

namespace lmdeploy {

// One column of one row group.
struct ParquetChunk {
  Codec codec = Codec::none;
  std::string_view pages;  // bytes of the file
};

struct ParquetColumn {
  bool nullable = false;
  std::vector<ParquetChunk> chunks;  // in the order of the rows
};

// The column `name` of strings, at the schema's top. Throws Error: no such column, a damaged or strange file.
ParquetColumn find_parquet_column(std::string_view file, std::string_view name);

}  // namespace lmdeploy
