// The element scanner: any bytes, in any transfer syntax, under any limits. What comes of
// them must not depend on how they are cut.
#include <string>
#include <vector>

#include "gateway/dicom/deflate.h"
#include "gateway/dicom/header.h"
#include "tests/dicom/data_set_bytes.h"
#include "tests/fuzz/index_check.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/targets.h"

namespace sluice::fuzz {
namespace {

using dicom::Header;

constexpr std::uint64_t kMostInflated = 1U << 20U;  // more would only be slow
constexpr std::size_t kLongestByBytes = 3000;

dicom::ScanLimits any_limits(Input& input) {
  dicom::ScanLimits limits;
  limits.inflated = kMostInflated;
  if (!input.yes()) return limits;
  limits.depth = static_cast<std::uint32_t>(input.below(8));
  limits.elements = 1 + static_cast<std::uint32_t>(input.byte());
  limits.retained_value = input.byte();
  limits.retained_total = input.below(4096);
  limits.inflated = 1 + input.below(1U << 14U);
  limits.inflate_ratio = 1 + input.byte();
  return limits;
}

// The header as soon as it is complete, without what follows it.
struct InPieces {
  Result<Header> whole;
  Result<Header> early = failure(ErrorCode::permanent, "the header never was complete");
};

template <typename NextSize>
InPieces scan_in_pieces(Bytes data, const dicom::TransferSyntax& syntax,
                        const dicom::ScanLimits& limits, NextSize next_size) {
  dicom::Scanner scanner(syntax, limits);
  InPieces made{failure(ErrorCode::permanent, "")};
  while (!data.empty()) {
    const auto piece = data.first(std::min(data.size(), next_size()));
    // A copy on the heap: reading beyond the piece is seen by AddressSanitizer.
    const std::vector<std::byte> copy(piece.begin(), piece.end());
    const auto fed = scanner.feed(copy);
    if (!fed) {
      const auto again = scanner.feed(copy);
      require(!again && !scanner.finish(), "a scanner that failed stays so");
      made.whole = tl::unexpected(fed.error());
      return made;
    }
    if (scanner.header_complete() && !made.early) made.early = scanner.finish_header();
    data = data.subspan(piece.size());
  }
  made.whole = scanner.finish();
  return made;
}

void compare(const Result<Header>& whole, const InPieces& pieces, bool deflated) {
  require(whole.has_value() == pieces.whole.has_value(), "pieces are taken as the whole is",
          [&] { return whole ? pieces.whole.error().message : whole.error().message; });
  if (!whole) {
    // An inflater sees a broken stream earlier or later than the walk sees broken bytes.
    require(deflated || whole.error().message == pieces.whole.error().message,
            "pieces are refused as the whole is",
            [&] { return whole.error().message + " / " + pieces.whole.error().message; });
    return;
  }
  std::string difference = test::difference(*whole, *pieces.whole);
  require(difference.empty(), "pieces give the same index", [&] { return difference; });
  if (!pieces.early) return;
  // Only what stands behind the pixel data can make it unordered later.
  require(pieces.early->length() == whole->length() &&
              pieces.early->elements().size() == whole->elements().size(),
          "the header is complete when it says so");
}

void check_limits(const Header& header, const dicom::ScanLimits& limits) {
  require(header.elements().size() <= limits.elements, "no more elements than allowed");
  std::uint64_t kept = 0;
  for (dicom::ElementIndex index = 0; index < header.elements().size(); ++index) {
    require(header[index].depth <= 2 * limits.depth, "no deeper than allowed",
            [&] { return header.path(index); });
    kept += header.value(index).value_or("").size();
  }
  require(kept <= limits.retained_total, "no more values in memory than allowed");
}

// A value as text is a value again, and then the same text.
void check_texts(const Header& header) {
  for (dicom::ElementIndex index = 0; index < header.elements().size(); ++index) {
    const auto value = header.value(index);
    if (!value) continue;
    const dicom::Vr vr = header[index].known_vr();
    const bool big_endian = header.is_big_endian(index);
    const std::string text = dicom::value_to_text(vr, *value, big_endian);
    const auto again = dicom::text_to_value(vr, text, big_endian);
    require(again.has_value(), "a value as text is a value", [&] { return again.error().message; });
    require(dicom::value_to_text(vr, *again, big_endian) == text, "text survives being a value",
            [&] { return header.path(index); });
    require(again->size() % 2 == 0, "a value is padded to even length");
  }
}

}  // namespace

void scanner(Bytes bytes) {
  Input input(bytes);
  const dicom::TransferSyntax syntax = input.transfer_syntax();
  const dicom::ScanLimits limits = any_limits(input);
  const Bytes data = input.subject();
  const auto whole = dicom::scan(data, syntax, limits);
  require(whole || (whole.error().code == ErrorCode::corrupt && !whole.error().message.empty()),
          "a refusal says what is corrupt");
  compare(whole, scan_in_pieces(data, syntax, limits, [&] { return 1 + input.byte(); }),
          syntax.deflated);
  if (data.size() <= kLongestByBytes) {
    compare(whole, scan_in_pieces(data, syntax, limits, [] { return std::size_t{1}; }),
            syntax.deflated);
  }
  if (!whole) return;
  check_limits(*whole, limits);
  std::string plain(text_of(data));
  if (syntax.deflated) {
    plain.clear();
    dicom::Inflater inflater(limits.inflated, limits.inflate_ratio);
    require(inflater.inflate(data, plain) && inflater.finished(), "what was scanned inflates");
  }
  check_index(*whole, plain);
  check_texts(*whole);
}

}  // namespace sluice::fuzz
