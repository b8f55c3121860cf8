#include "convert/byte_alphabet.h"

namespace lmdeploy::convert {
namespace {

bool prints(unsigned byte) {
  return (byte >= '!' && byte <= '~') || (byte >= 0xa1 && byte != 0xad);
}

std::string utf8_below_0x800(unsigned code_point) {
  if (code_point < 0x80) return {static_cast<char>(code_point)};
  return {static_cast<char>(0xc0U | code_point >> 6), static_cast<char>(0x80U | (code_point & 0x3fU))};
}

}  // namespace

std::array<std::string, 256> byte_alphabet() {
  std::array<std::string, 256> alphabet;
  unsigned next = 0x100;
  for (unsigned byte = 0; byte < alphabet.size(); ++byte)
    alphabet[byte] = utf8_below_0x800(prints(byte) ? byte : next++);
  return alphabet;
}

}  // namespace lmdeploy::convert
