#include "gateway/dicom/encode.h"

#include <algorithm>
#include <functional>
#include <vector>

namespace sluice::dicom {

void put_16(std::string& out, std::uint16_t number, bool big_endian) {
  const auto low = static_cast<char>(number & 0xFFU);
  const auto high = static_cast<char>(number >> 8U);
  out += big_endian ? high : low;
  out += big_endian ? low : high;
}

void put_32(std::string& out, std::uint32_t number, bool big_endian) {
  const auto low = static_cast<std::uint16_t>(number & 0xFFFFU);
  const auto high = static_cast<std::uint16_t>(number >> 16U);
  put_16(out, big_endian ? high : low, big_endian);
  put_16(out, big_endian ? low : high, big_endian);
}

Result<void> put_head(std::string& out, Tag tag, Vr vr, std::uint64_t length, Encoding encoding) {
  const bool short_length = !encoding.implicit_vr && !has_long_length(vr) && tag != tags::kItem;
  const std::uint64_t most = short_length ? 0xFFFE : 0xFFFFFFFE;
  if (length > most) {
    return failure(ErrorCode::permanent, keyword(tag) + ": a value of " + std::to_string(length) +
                                             " bytes does not fit; VR " + to_string(vr) +
                                             " takes up to " + std::to_string(most));
  }
  put_16(out, tag.group, encoding.big_endian);
  put_16(out, tag.element, encoding.big_endian);
  if (encoding.implicit_vr || tag == tags::kItem) {
    put_32(out, static_cast<std::uint32_t>(length), encoding.big_endian);
    return {};
  }
  out += to_string(vr);
  if (short_length) {
    put_16(out, static_cast<std::uint16_t>(length), encoding.big_endian);
  } else {
    put_16(out, 0, encoding.big_endian);
    put_32(out, static_cast<std::uint32_t>(length), encoding.big_endian);
  }
  return {};
}

// A new element nests as deep as a filter's code says, never as the network says.
Result<void> put_element(std::string& out, const NewElement& element, Encoding encoding) {
  std::string value;
  if (const auto* items = std::get_if<std::vector<NewItem>>(&element.value)) {
    for (const NewItem& item : *items) {
      if (auto put = put_item(value, item, encoding); !put) return put;
    }
  } else {
    value = std::get<std::string>(element.value);
    if (value.size() % 2 != 0) value += padding_of(element.vr);
  }
  if (auto put = put_head(out, element.tag, element.vr, value.size(), encoding); !put) return put;
  out += value;
  return {};
}

Result<void> put_item(std::string& out, const NewItem& item, Encoding encoding) {
  std::vector<std::reference_wrapper<const NewElement>> ordered(item.begin(), item.end());
  std::ranges::stable_sort(ordered, {}, [](const NewElement& element) { return element.tag; });
  std::string value;
  for (const NewElement& element : ordered) {
    if (auto put = put_element(value, element, encoding); !put) return put;
  }
  if (auto put = put_head(out, tags::kItem, Vr::UN, value.size(), encoding); !put) return put;
  out += value;
  return {};
}

}  // namespace sluice::dicom
