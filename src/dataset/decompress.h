#pragma once
// What packs the bytes of data sets. The only file with zlib, libzstd and snappy. Private to dataset/.
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace lmdeploy {

inline constexpr std::string_view kGzipMagic = "\x1f\x8b";
inline constexpr std::string_view kZstdMagic = "\x28\xb5\x2f\xfd";

// A packed stream of which the end may be missing.
class PackedStream {
 public:
  virtual ~PackedStream() = default;
  // The next bytes, at most 64 KiB, valid until the next call; none at the end. Throws Error on damage.
  virtual std::string_view next() = 0;
  // After the end: whether the input stopped before the stream did.
  virtual bool cut_off() const = 0;
};

// They borrow `packed`. Several members or frames in a row are one stream.
std::unique_ptr<PackedStream> open_gzip(std::string_view packed);
std::unique_ptr<PackedStream> open_zstd(std::string_view packed);

enum class Codec : std::uint8_t { none, snappy, gzip, zstd };

// All of `packed`, which must be `size` bytes when unpacked. Throws Error.
std::string unpack(Codec codec, std::string_view packed, std::size_t size);

}  // namespace lmdeploy
