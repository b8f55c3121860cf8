#pragma once
// One JSON object a line, as c4 and the Pile have them. Private to dataset/: others use read_text_column().
#include <string_view>

#include "dataset/decompress.h"
#include "dataset/text_column.h"

namespace lmdeploy {

// Gives the string that each line's object has under `key`, of the first 64 MiB. A last line that is not all
// there is left out. Throws Error: a line that is no such object, or longer than 16 MiB.
void read_json_lines(PackedStream& stream, std::string_view key, const RowSink& sink);

}  // namespace lmdeploy
