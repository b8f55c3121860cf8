#include "dataset/decompress.h"

#include <snappy.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <array>

#include "base/error.h"

namespace lmdeploy {
namespace {

constexpr std::size_t kPieceBytes = 64 << 10;

[[noreturn]] void refuse(std::string_view kind, std::string_view reason) {
  throw Error(fmt::format("its {} data are damaged: {}", kind, reason), "Fetch it again.");
}

class GzipStream final : public PackedStream {
 public:
  explicit GzipStream(std::string_view packed) : rest_(packed) {
    constexpr int kGzipHeader = 16;  // what zlib wants added for gzip's header instead of its own
    CHECK(inflateInit2(&state_, MAX_WBITS + kGzipHeader) == Z_OK);
  }
  ~GzipStream() override { inflateEnd(&state_); }
  GzipStream(const GzipStream&) = delete;
  GzipStream& operator=(const GzipStream&) = delete;

  std::string_view next() override {
    state_.next_out = piece_.data();
    state_.avail_out = kPieceBytes;
    while (state_.avail_out > 0 && step()) {
    }
    return {reinterpret_cast<const char*>(piece_.data()), kPieceBytes - state_.avail_out};
  }

  bool cut_off() const override { return !at_member_end_; }

 private:
  // False where nothing moved: the input is used up.
  bool step() {
    if (at_member_end_) {
      if (rest_.empty()) return false;
      CHECK(inflateReset(&state_) == Z_OK);
    }
    const auto given = static_cast<uInt>(std::min<std::size_t>(rest_.size(), 1U << 30U));
    state_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(rest_.data()));  // zlib's old signature
    state_.avail_in = given;
    const int status = inflate(&state_, Z_NO_FLUSH);
    at_member_end_ = status == Z_STREAM_END;
    if (status == Z_BUF_ERROR) return false;
    if (status != Z_OK && status != Z_STREAM_END)
      refuse("gzip", state_.msg != nullptr ? state_.msg : zError(status));
    rest_.remove_prefix(given - state_.avail_in);
    return true;
  }

  z_stream state_{};
  std::string_view rest_;
  bool at_member_end_ = false;
  std::array<Bytef, kPieceBytes> piece_;
};

class ZstdStream final : public PackedStream {
 public:
  // libzstd refuses windows above 128 MiB by itself.
  explicit ZstdStream(std::string_view packed)
      : state_(ZSTD_createDStream(), ZSTD_freeDStream), input_{packed.data(), packed.size(), 0} {
    CHECK(state_ != nullptr);
  }

  std::string_view next() override {
    ZSTD_outBuffer output{piece_.data(), kPieceBytes, 0};
    // What it holds back where the output was full comes with a call without input.
    for (bool more = true; more && output.pos < output.size;) {
      const std::size_t before_in = input_.pos, before_out = output.pos;
      const std::size_t status = ZSTD_decompressStream(state_.get(), &output, &input_);
      if (ZSTD_isError(status) != 0) refuse("Zstandard", ZSTD_getErrorName(status));
      more = input_.pos > before_in || output.pos > before_out;
      if (more) at_frame_end_ = status == 0;
    }
    return {piece_.data(), output.pos};
  }

  bool cut_off() const override { return !at_frame_end_; }

 private:
  std::unique_ptr<ZSTD_DStream, std::size_t (*)(ZSTD_DStream*)> state_;
  ZSTD_inBuffer input_;
  bool at_frame_end_ = false;
  std::array<char, kPieceBytes> piece_;
};

std::string unpack_stream(PackedStream& stream, std::size_t size) {
  std::string bytes;
  for (std::string_view piece; bytes.size() <= size && !(piece = stream.next()).empty();) bytes += piece;
  return bytes;
}

std::string unpack_snappy(std::string_view packed, std::size_t size) {
  std::size_t claimed = 0;
  if (!snappy::GetUncompressedLength(packed.data(), packed.size(), &claimed) || claimed != size)
    refuse("Snappy", "another size than its page says");
  std::string bytes;
  if (!snappy::Uncompress(packed.data(), packed.size(), &bytes)) refuse("Snappy", "no such stream");
  return bytes;
}

std::string unpack_any(Codec codec, std::string_view packed, std::size_t size) {
  switch (codec) {
    case Codec::none:
      return std::string(packed);
    case Codec::snappy:
      return unpack_snappy(packed, size);
    case Codec::gzip:
      return unpack_stream(*open_gzip(packed), size);
    case Codec::zstd:
      return unpack_stream(*open_zstd(packed), size);
  }
  CHECK(false, "codec {}", static_cast<int>(codec));
}

}  // namespace

std::unique_ptr<PackedStream> open_gzip(std::string_view packed) {
  return std::make_unique<GzipStream>(packed);
}

std::unique_ptr<PackedStream> open_zstd(std::string_view packed) {
  return std::make_unique<ZstdStream>(packed);
}

std::string unpack(Codec codec, std::string_view packed, std::size_t size) {
  std::string bytes = unpack_any(codec, packed, size);
  if (bytes.size() != size)
    throw Error(fmt::format("a page unpacks to {} bytes and says {}", bytes.size(), size), "Fetch it again.");
  return bytes;
}

}  // namespace lmdeploy
