#pragma once
#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

namespace lmdeploy {

// The strings of one column of a data set's file, with a blank line between two rows, as GPTQ's and
// LMDeploy's calibration joins them. Ends before the row that would make it longer than max_bytes.
//
// The file's first bytes say what it is: Parquet, or JSON lines packed by gzip or Zstandard. Of JSON lines
// the beginning of a file will do; a line that is not all there is left out. Holds the text and a piece of
// the file (a page or a line, at most 64 MiB) in memory.
//
// Throws Error: another kind of file, a damaged one, no such column, no text in it.
std::string read_text_column(std::string_view file, std::string_view column, std::size_t max_bytes);

// Takes one row; false: no more are wanted. The row lives as long as the call.
using RowSink = std::function<bool(std::string_view row)>;

}  // namespace lmdeploy
