// The splitter between the network and dcmnet: any stream of PDUs, arriving in any pieces
// and read in any pieces, comes out as a plain description of the splitter says.
#include "gateway/net/pdv_splitter.h"

#include <algorithm>
#include <string>
#include <vector>

#include "tests/fuzz/input.h"
#include "tests/fuzz/peer.h"
#include "tests/fuzz/targets.h"
#include "tests/support/raw_peer.h"

namespace sluice::fuzz {
namespace {

constexpr std::size_t kMostPieces = 64;
constexpr std::size_t kLongestPart = 8UL * 1024;

// Big endian.
std::size_t number_at(std::string_view bytes, std::size_t offset) {
  std::size_t number = 0;
  for (const char byte : bytes.substr(offset, 4)) {
    number = number << 8U | static_cast<unsigned char>(byte);
  }
  return number;
}

// What is to come out of a stream that ends anywhere; written for the whole of it at once.
class Expected {
 public:
  Expected(std::string_view stream, std::size_t max_pdu) : stream_(stream) {
    while (stream_.size() >= 6) {
      const bool is_data = stream_[0] == 4;
      const std::size_t length = number_at(stream_, 2);
      if (is_data && length > 0 && length <= max_pdu) {
        stream_.remove_prefix(6);
        add_pdvs(length);
      } else {
        take(6);
        take(length);
      }
    }
  }
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  void add_pdvs(std::size_t left) {
    while (left > 0) {
      if (left >= 4 && stream_.size() < 4) {  // its length never comes
        stream_ = {};
        return;
      }
      std::size_t whole = left;
      if (left >= 4) {
        const std::size_t length = number_at(stream_, 0);
        if (length >= 2 && length <= left - 4) whole = 4 + length;
      }
      text_ += std::string("\4\0", 2) + test::big32(whole);
      const bool is_cut_short = stream_.size() < whole;
      take(whole);
      if (is_cut_short) return;
      left -= whole;
    }
  }
  void take(std::size_t length) {
    const std::size_t taken = std::min(length, stream_.size());
    text_ += stream_.substr(0, taken);
    stream_.remove_prefix(taken);
  }

  std::string_view stream_;
  std::string text_;
};

std::vector<Bytes> cut(Bytes stream, Input& input) {
  std::vector<Bytes> pieces;
  while (!stream.empty()) {
    const bool is_last = pieces.size() + 1 == kMostPieces || !input.has_decisions();
    const std::size_t size = is_last ? stream.size() : 1 + input.byte();
    pieces.push_back(stream.first(std::min(size, stream.size())));
    stream = stream.subspan(pieces.back().size());
  }
  return pieces;
}

}  // namespace

void pdv_splitter(Bytes bytes) {
  Input input(bytes);
  const std::size_t max_pdu = input.yes() ? input.below(64) : 16'384;
  const std::size_t read_size = 1 + (input.yes() ? input.below(16) : 4096);
  Bytes stream = input.subject();
  stream = stream.first(std::min(stream.size(), kLongestPart));
  const Bytes received = stream.first(std::min(stream.size(), input.byte()));
  const SilentPeer peer({received.begin(), received.end()},
                        cut(stream.subspan(received.size()), input));
  net::PdvSplitter splitter(*peer.connection(), static_cast<std::uint32_t>(max_pdu));
  std::string result;
  std::vector<std::byte> buffer(read_size);
  for (;;) {
    const auto length = splitter.read(buffer);
    require(length >= 0, "the end of the stream is no error");
    if (length == 0) break;
    result += text_of(Bytes(buffer).first(static_cast<std::size_t>(length)));
  }
  require(result == Expected(text_of(stream), max_pdu).text(), "each PDV has a PDU of its own");
}

}  // namespace sluice::fuzz
