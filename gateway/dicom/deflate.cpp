#include "gateway/dicom/deflate.h"

#define ZLIB_CONST  // zlib does not write to its input, and then says so
#include <zlib.h>

#include <algorithm>
#include <limits>
#include <vector>

namespace sluice::dicom {

namespace {

constexpr std::size_t kBuffer = 64UL * 1024;
constexpr std::uint64_t kTrailer = 8;  // of gzip, bytes
constexpr int kMemoryLevel = 8;        // zlib's default
constexpr int kRawWindow = -15;        // negative: no zlib header around the stream

const Bytef* input_of(std::span<const std::byte> in) {
  return reinterpret_cast<const Bytef*>(in.data());
}

std::span<const std::byte> take(std::span<const std::byte>& in) {
  const std::size_t most = std::numeric_limits<uInt>::max();
  const auto piece = in.first(std::min(in.size(), most));
  in = in.subspan(piece.size());
  return piece;
}

std::string message_of(const z_stream& stream) {
  return stream.msg == nullptr ? std::string("unexpected end") : std::string(stream.msg);
}

}  // namespace

class Inflater::State {
 public:
  State(std::uint64_t limit, std::uint64_t ratio)
      : limit_(limit), ratio_(ratio), ready_(inflateInit2(&stream_, kRawWindow) == Z_OK) {}
  ~State() {
    if (ready_) inflateEnd(&stream_);
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  [[nodiscard]] bool finished() const { return finished_; }

  Result<void> inflate(std::span<const std::byte> in, const Sink& sink) {
    if (!ready_) return failure(ErrorCode::transient, "no memory to inflate a data set");
    while (!in.empty() && !failed_) {
      const auto piece = take(in);
      auto done = finished_ ? check_rest(piece) : inflate_piece(piece, sink);
      if (!done) return done;
    }
    if (failed_) return corrupt("the stream failed before");
    return {};
  }

 private:
  Result<void> inflate_piece(std::span<const std::byte> piece, const Sink& sink) {
    stream_.next_in = input_of(piece);
    stream_.avail_in = static_cast<uInt>(piece.size());
    do {
      stream_.next_out = reinterpret_cast<Bytef*>(buffer_.data());
      stream_.avail_out = static_cast<uInt>(buffer_.size());
      const uInt in_before = stream_.avail_in;
      const int status = ::inflate(&stream_, Z_NO_FLUSH);
      in_total_ += in_before - stream_.avail_in;
      // Z_BUF_ERROR only says that this call could do nothing: more input is needed.
      if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR) {
        return corrupt("cannot inflate the data set: " + message_of(stream_));
      }
      const std::size_t made = buffer_.size() - stream_.avail_out;
      out_total_ += made;
      checksum_ = crc32_z(checksum_, reinterpret_cast<const Bytef*>(buffer_.data()), made);
      if (auto within = check_limits(); !within) return within;
      if (made != 0) {
        if (auto taken = sink(std::span(buffer_).first(made)); !taken) {
          failed_ = true;
          return taken;
        }
      }
      if (status == Z_STREAM_END) {
        finished_ = true;
        return check_rest(piece.last(stream_.avail_in));
      }
    } while (stream_.avail_in != 0 || stream_.avail_out == 0);
    return {};
  }

  Result<void> check_limits() {
    if (out_total_ > limit_) {
      return corrupt("the data set inflates to more than " + std::to_string(limit_) + " bytes");
    }
    if (out_total_ > kRatioFrom && out_total_ / ratio_ > in_total_) {
      return corrupt("the data set inflates to more than " + std::to_string(ratio_) +
                     " times its size");
    }
    return {};
  }

  // NUL padding, or gzip's trailer and then NUL padding: some writers cut off gzip's
  // head only. A trailer that tells another checksum is a broken stream.
  Result<void> check_rest(std::span<const std::byte> rest) {
    for (const std::byte byte : rest) {
      const std::byte expected = behind_ < kTrailer ? trailer_byte(behind_) : std::byte{0};
      is_trailer_ = is_trailer_ && byte == expected;
      is_padding_ = is_padding_ && byte == std::byte{0};
      if (!is_trailer_ && !is_padding_) {
        return corrupt("there are bytes behind the end of the deflated data set");
      }
      ++behind_;
    }
    return {};
  }

  // CRC-32 and size modulo 2^32, both little endian (RFC 1952 2.3.1).
  [[nodiscard]] std::byte trailer_byte(std::uint64_t index) const {
    const std::uint64_t number = index < kTrailer / 2 ? checksum_ : out_total_;
    return static_cast<std::byte>(number >> (8U * (index % (kTrailer / 2))));
  }

  tl::unexpected<Error> corrupt(std::string message) {
    failed_ = true;
    return failure(ErrorCode::corrupt, std::move(message));
  }

  z_stream stream_{};
  std::vector<std::byte> buffer_ = std::vector<std::byte>(kBuffer);
  std::uint64_t limit_;
  std::uint64_t ratio_;
  std::uint64_t in_total_ = 0;
  std::uint64_t out_total_ = 0;
  std::uint64_t behind_ = 0;  // bytes behind the end of the stream
  uLong checksum_ = 0;
  bool is_padding_ = true;
  bool is_trailer_ = true;
  bool ready_;
  bool finished_ = false;
  bool failed_ = false;
};

Inflater::Inflater(std::uint64_t limit, std::uint64_t ratio)
    : state_(std::make_unique<State>(limit, std::max<std::uint64_t>(ratio, 1))) {}
Inflater::~Inflater() = default;
Inflater::Inflater(Inflater&&) noexcept = default;
Inflater& Inflater::operator=(Inflater&&) noexcept = default;

Result<void> Inflater::inflate(std::span<const std::byte> in, std::string& out) {
  return state_->inflate(in, [&out](std::span<const std::byte> bytes) -> Result<void> {
    out.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return {};
  });
}

Result<void> Inflater::inflate(std::span<const std::byte> in, const Sink& sink) {
  return state_->inflate(in, sink);
}

bool Inflater::finished() const {
  return state_->finished();
}

class Deflater::State {
 public:
  State()
      : ready_(deflateInit2(&stream_, Z_DEFAULT_COMPRESSION, Z_DEFLATED, kRawWindow, kMemoryLevel,
                            Z_DEFAULT_STRATEGY) == Z_OK) {}
  ~State() {
    // Z_DATA_ERROR tells of an unfinished stream only, which the caller knows of.
    if (ready_) static_cast<void>(deflateEnd(&stream_));
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  Result<void> deflate(std::span<const std::byte> in, bool last, std::string& out) {
    if (!ready_) return failure(ErrorCode::transient, "no memory to deflate a data set");
    if (closed_) return failure(ErrorCode::permanent, "the deflated data set is closed already");
    do {
      const auto piece = take(in);
      const bool closing = last && in.empty();
      if (auto done = deflate_piece(piece, closing ? Z_FINISH : Z_NO_FLUSH, out); !done)
        return done;
    } while (!in.empty());
    if (last) {
      closed_ = true;
      if (total_ % 2 != 0) out += '\0';
    }
    return {};
  }

 private:
  Result<void> deflate_piece(std::span<const std::byte> piece, int flush, std::string& out) {
    stream_.next_in = input_of(piece);
    stream_.avail_in = static_cast<uInt>(piece.size());
    do {
      stream_.next_out = reinterpret_cast<Bytef*>(buffer_.data());
      stream_.avail_out = static_cast<uInt>(buffer_.size());
      if (::deflate(&stream_, flush) == Z_STREAM_ERROR) {
        return failure(ErrorCode::permanent, "cannot deflate the data set: " + message_of(stream_));
      }
      const std::size_t made = buffer_.size() - stream_.avail_out;
      out.append(buffer_.data(), made);
      total_ += made;
    } while (stream_.avail_out == 0);
    return {};
  }

  z_stream stream_{};
  std::vector<char> buffer_ = std::vector<char>(kBuffer);
  std::uint64_t total_ = 0;
  bool ready_;
  bool closed_ = false;
};

Deflater::Deflater() : state_(std::make_unique<State>()) {}
Deflater::~Deflater() = default;
Deflater::Deflater(Deflater&&) noexcept = default;
Deflater& Deflater::operator=(Deflater&&) noexcept = default;

Result<void> Deflater::deflate(std::span<const std::byte> in, bool last, std::string& out) {
  return state_->deflate(in, last, out);
}

}  // namespace sluice::dicom
