// Data sets written by hand, byte for byte, with nothing of the code under test but
// Tag: so a mistake there is not repeated here.
//
//   Bytes le{Form::explicit_le};
//   auto data = le.element({0x0020, 0x0011}, "IS", "7 ") + le.sequence(...);
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "gateway/dicom/header.h"
#include "gateway/dicom/patch.h"

namespace sluice::test {

enum class Form { implicit_le, explicit_le, explicit_be };

inline constexpr Form kForms[] = {Form::implicit_le, Form::explicit_le, Form::explicit_be};
inline constexpr std::uint32_t kUndefined = 0xFFFFFFFFU;

inline dicom::TransferSyntax syntax_of(Form form) {
  switch (form) {
    case Form::implicit_le:
      return dicom::transfer_syntax(dicom::kImplicitVrLittleEndian);
    case Form::explicit_be:
      return dicom::transfer_syntax(dicom::kExplicitVrBigEndian);
    case Form::explicit_le:
      break;
  }
  return dicom::transfer_syntax(dicom::kExplicitVrLittleEndian);
}

struct Bytes {
  Form form = Form::explicit_le;

  [[nodiscard]] std::string number_16(std::uint32_t number) const {
    const std::string bytes = {static_cast<char>(number & 0xFFU),
                               static_cast<char>((number >> 8U) & 0xFFU)};
    return form == Form::explicit_be ? std::string(bytes.rbegin(), bytes.rend()) : bytes;
  }
  [[nodiscard]] std::string number_32(std::uint32_t number) const {
    const std::string low = number_16(number & 0xFFFFU);
    const std::string high = number_16(number >> 16U);
    return form == Form::explicit_be ? high + low : low + high;
  }
  [[nodiscard]] std::string tag(dicom::Tag tag) const {
    return number_16(tag.group) + number_16(tag.element);
  }

  // Tag, VR and any length, true or not.
  [[nodiscard]] std::string head(dicom::Tag of, std::string_view vr, std::uint32_t length) const {
    if (form == Form::implicit_le || of.group == 0xFFFE) return tag(of) + number_32(length);
    static constexpr std::string_view kShort =
        "AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US";
    if (kShort.find(vr) != std::string_view::npos)
      return tag(of) + std::string(vr) + number_16(length);
    return tag(of) + std::string(vr) + number_16(0) + number_32(length);
  }
  [[nodiscard]] std::string element(dicom::Tag of, std::string_view vr,
                                    std::string_view value) const {
    return head(of, vr, static_cast<std::uint32_t>(value.size())) + std::string(value);
  }
  [[nodiscard]] std::string sequence(dicom::Tag of, std::string_view items, bool undefined = false,
                                     std::string_view vr = "SQ") const {
    if (!undefined) return element(of, vr, items);
    return head(of, vr, kUndefined) + std::string(items) + sequence_end();
  }
  [[nodiscard]] std::string item(std::string_view elements, bool undefined = false) const {
    if (!undefined) return element({0xFFFE, 0xE000}, "", elements);
    return head({0xFFFE, 0xE000}, "", kUndefined) + std::string(elements) + item_end();
  }
  [[nodiscard]] std::string item_end() const { return head({0xFFFE, 0xE00D}, "", 0); }
  [[nodiscard]] std::string sequence_end() const { return head({0xFFFE, 0xE0DD}, "", 0); }
};

inline std::span<const std::byte> as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

inline Result<dicom::Header> scan_text(std::string_view data, const dicom::TransferSyntax& syntax,
                                       const dicom::ScanLimits& limits = {}) {
  return dicom::scan(as_bytes(data), syntax, limits);
}
inline Result<dicom::Header> scan_text(std::string_view data, Form form,
                                       const dicom::ScanLimits& limits = {}) {
  return scan_text(data, syntax_of(form), limits);
}

// In pieces whose sizes `next_size` gives.
template <typename NextSize>
Result<dicom::Header> scan_pieces(std::string_view data, const dicom::TransferSyntax& syntax,
                                  NextSize next_size, const dicom::ScanLimits& limits = {}) {
  dicom::Scanner scanner(syntax, limits);
  while (!data.empty()) {
    const auto piece = data.substr(0, next_size());
    // A copy on the heap: reading beyond the piece is seen by AddressSanitizer.
    const std::vector<char> copy(piece.begin(), piece.end());
    if (auto fed = scanner.feed(std::as_bytes(std::span(copy))); !fed) {
      return tl::unexpected(fed.error());
    }
    data.remove_prefix(piece.size());
  }
  return scanner.finish();
}

inline auto fields(const dicom::Element& e) {
  return std::tuple(e.tag, e.vr, e.depth, e.header_length, e.implicit_vr, e.written_as_un, e.length,
                    e.parent, e.offset, e.end);
}

// "" if both tell the same of the same data set, else the first difference.
inline std::string difference(const dicom::Header& left, const dicom::Header& right) {
  if (left.elements().size() != right.elements().size()) return "number of elements";
  if (left.length() != right.length()) return "length of the header";
  if (left.is_unordered() != right.is_unordered()) return "order";
  for (dicom::ElementIndex i = 0; i < left.elements().size(); ++i) {
    if (fields(left[i]) != fields(right[i]) || left.value(i) != right.value(i)) return left.path(i);
  }
  return "";
}

// The bytes that the pieces of a patch stand for.
inline std::string joined(const std::vector<dicom::Piece>& pieces, std::string_view data) {
  std::string bytes;
  for (const dicom::Piece& piece : pieces) {
    if (piece.is_new()) {
      bytes += piece.bytes;
    } else {
      bytes += data.substr(piece.offset, piece.length);
    }
  }
  return bytes;
}

}  // namespace sluice::test
