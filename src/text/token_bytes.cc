#include "text/token_bytes.h"

#include <charconv>
#include <optional>

namespace lmdeploy {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";         // U+FFFD
constexpr std::string_view kSentencePieceSpace = "\xE2\x96\x81";  // U+2581

// "<0x0A>", SentencePiece's name of a byte.
std::optional<char> named_byte(std::string_view name) {
  if (name.size() != 6 || !name.starts_with("<0x") || name.back() != '>') return std::nullopt;
  unsigned byte = 0;
  const auto [end, error] = std::from_chars(name.data() + 3, name.data() + 5, byte, 16);
  if (error != std::errc() || end != name.data() + 5) return std::nullopt;
  return static_cast<char>(byte);
}

bool prints(unsigned code_point) {
  return (code_point >= '!' && code_point <= '~') ||
         (code_point >= 0xa1 && code_point <= 0xff && code_point != 0xad);
}

// The byte that a character of GPT-2's alphabet stands for: printing characters of Latin-1 are themselves,
// the 68 others are numbered from U+0100 on.
std::optional<char> byte_of(unsigned code_point) {
  if (code_point <= 0xff)
    return prints(code_point) ? std::optional(static_cast<char>(code_point)) : std::nullopt;
  unsigned next = 0x100;
  for (unsigned byte = 0; byte <= 0xff; ++byte)
    if (!prints(byte) && next++ == code_point) return static_cast<char>(byte);
  return std::nullopt;
}

// Empty where a character is not of that alphabet, all of which are below U+0800.
std::string from_byte_alphabet(std::string_view name) {
  std::string bytes;
  for (std::size_t i = 0; i < name.size(); ++i) {
    const auto lead = static_cast<unsigned char>(name[i]);
    unsigned code_point = lead;
    if (lead >= 0x80) {
      if (lead < 0xc2 || lead >= 0xe0 || i + 1 == name.size()) return {};
      code_point = (lead & 0x1fU) << 6 | (static_cast<unsigned char>(name[++i]) & 0x3fU);
    }
    const auto byte = byte_of(code_point);
    if (!byte) return {};
    bytes += *byte;
  }
  return bytes;
}

std::string with_spaces(std::string_view name) {
  std::string text;
  for (std::size_t at = 0; at < name.size();) {
    const bool is_space = name.substr(at).starts_with(kSentencePieceSpace);
    text += is_space ? ' ' : name[at];
    at += is_space ? kSentencePieceSpace.size() : 1;
  }
  return text;
}

}  // namespace

std::string token_bytes(const Tokenizer& tokenizer, TokenId id) {
  std::string name = tokenizer.id_to_token(id);
  if (tokenizer.is_special(id)) return name;
  std::string text = tokenizer.decode(std::span(&id, 1), {.skip_special_tokens = false});
  if (text == name) return name;
  if (const auto byte = named_byte(name)) return std::string(1, *byte);
  // A decoder drops the space of a word that begins a text.
  if (std::string spaced = with_spaces(name); spaced != name && spaced.ends_with(text)) return spaced;
  if (text.find(kReplacement) == std::string::npos) return text;
  const std::string bytes = from_byte_alphabet(name);
  return bytes.empty() ? text : bytes;
}

}  // namespace lmdeploy
