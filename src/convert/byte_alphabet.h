#pragma once
#include <array>
#include <string>

namespace lmdeploy::convert {

// The characters (UTF-8) by which byte-level BPE writes the 256 bytes: what prints in Latin-1 stands for
// itself, the others follow one after the other from U+0100 on.
std::array<std::string, 256> byte_alphabet();

}  // namespace lmdeploy::convert
