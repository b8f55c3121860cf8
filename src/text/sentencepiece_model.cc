#include "text/sentencepiece_model.h"

#include <map>
#include <optional>
#include <unordered_set>

#include "base/error.h"

namespace lmdeploy {

namespace {

// Protocol buffers: a field is a varint (number << 3 | kind) and a value of that kind.
enum class Kind : std::uint8_t { varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 };
constexpr std::uint32_t pieces_field = 1;  // of ModelProto
constexpr std::uint32_t piece_field = 1;   // of SentencePiece
constexpr std::uint32_t type_field = 3;

struct Field {
  std::uint32_t number;
  Kind kind;
  std::uint64_t varint;    // of Kind::varint
  std::string_view bytes;  // of Kind::bytes: the value
  std::string_view whole;  // tag and value
};

class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}

  std::optional<Field> next() {
    if (rest_.empty()) return std::nullopt;
    const std::string_view before = rest_;
    const std::uint64_t tag = varint();
    Field field{static_cast<std::uint32_t>(tag >> 3), static_cast<Kind>(tag & 7), 0, {}, {}};
    switch (field.kind) {
      case Kind::varint:
        field.varint = varint();
        break;
      case Kind::fixed64:
        take(8);
        break;
      case Kind::fixed32:
        take(4);
        break;
      case Kind::bytes:
        field.bytes = take(varint());
        break;
      default:
        throw damaged();
    }
    field.whole = before.substr(0, before.size() - rest_.size());
    return field;
  }

 private:
  static Error damaged() { return Error("its bytes are not a SentencePiece model"); }

  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      const auto byte = static_cast<unsigned char>(take(1).front());
      value |= std::uint64_t{byte & 0x7FU} << shift;
      if (byte < 0x80) return value;
    }
    throw damaged();
  }

  std::string_view take(std::uint64_t len) {
    if (len > rest_.size()) throw damaged();
    const std::string_view taken = rest_.substr(0, len);
    rest_.remove_prefix(len);
    return taken;
  }

  std::string_view rest_;
};

void append_varint(std::string& out, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<char>(value | 0x80));
  out.push_back(static_cast<char>(value));
}

void append_bytes_field(std::string& out, std::uint32_t number, std::string_view value) {
  append_varint(out, std::uint64_t{number} << 3 | static_cast<std::uint8_t>(Kind::bytes));
  append_varint(out, value.size());
  out += value;
}

Piece read_piece(std::string_view bytes) {
  Piece piece;
  Reader reader(bytes);
  while (const auto field = reader.next()) {
    if (field->number == piece_field && field->kind == Kind::bytes) piece.text = field->bytes;
    if (field->number == type_field && field->kind == Kind::varint)
      piece.type = static_cast<Piece::Type>(field->varint);
  }
  return piece;
}

// The same entry as a control piece with that text; its score stays.
std::string control_piece(std::string_view bytes, std::string_view text) {
  std::string out;
  append_bytes_field(out, piece_field, text);
  Reader reader(bytes);
  while (const auto field = reader.next())
    if (field->number != piece_field && field->number != type_field) out += field->whole;
  append_varint(out, std::uint64_t{type_field} << 3);
  append_varint(out, static_cast<std::uint64_t>(Piece::Type::control));
  return out;
}

using Changes = std::map<TokenId, std::string>;  // id -> the text of its control piece

// `unk` and bytes are needed as they are, and texts must stay unique.
Changes plan_changes(const std::vector<Piece>& pieces, std::span<const AddedToken> added_tokens) {
  std::unordered_set<std::string_view> texts;
  for (const auto& piece : pieces) texts.insert(piece.text);
  Changes changes;
  for (const auto& token : added_tokens) {
    if (!token.id || static_cast<std::size_t>(*token.id) >= pieces.size()) continue;
    const Piece& piece = pieces[static_cast<std::size_t>(*token.id)];
    if (piece.type != Piece::Type::normal && piece.type != Piece::Type::user_defined) continue;
    const bool same_text = piece.text == token.content;
    if (same_text && !token.special) continue;
    const bool is_taken = !same_text && texts.contains(token.content);
    changes[*token.id] = is_taken ? fmt::format("<replaced {}>", *token.id) : token.content;
  }
  return changes;
}

}  // namespace

std::vector<Piece> read_pieces(std::string_view bytes) {
  std::vector<Piece> pieces;
  Reader reader(bytes);
  while (const auto field = reader.next())
    if (field->number == pieces_field && field->kind == Kind::bytes)
      pieces.push_back(read_piece(field->bytes));
  return pieces;
}

std::string with_added_tokens(std::string_view bytes, std::span<const AddedToken> added_tokens) {
  const Changes changes = plan_changes(read_pieces(bytes), added_tokens);
  std::string out;
  out.reserve(bytes.size() + 64 * changes.size());
  TokenId id = 0;
  Reader reader(bytes);
  while (const auto field = reader.next()) {
    const bool is_piece = field->number == pieces_field && field->kind == Kind::bytes;
    const auto change = is_piece ? changes.find(id++) : changes.end();
    if (change == changes.end())
      out += field->whole;
    else
      append_bytes_field(out, pieces_field, control_piece(field->bytes, change->second));
  }
  return out;
}

}  // namespace lmdeploy
