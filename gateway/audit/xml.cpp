#include "gateway/audit/xml.h"

#include <cstddef>
#include <cstdint>

namespace sluice::audit {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

struct Character {
  std::uint32_t code = 0;
  std::size_t length = 0;  // bytes; 0: no UTF-8
};

// The character at the front (RFC 3629): no overlong forms, no surrogates.
Character first_character(std::string_view text) {
  const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(text[at]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  std::size_t length = 0;
  std::uint32_t least = 0;
  if ((lead & 0xE0U) == 0xC0) {
    length = 2;
    least = 0x80;
  } else if ((lead & 0xF0U) == 0xE0) {
    length = 3;
    least = 0x800;
  } else if ((lead & 0xF8U) == 0xF0) {
    length = 4;
    least = 0x10000;
  }
  if (length == 0 || text.size() < length) return {};
  std::uint32_t code = lead & (0x7FU >> length);
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0U) != 0x80) return {};
    code = code << 6U | (byte(i) & 0x3FU);
  }
  const bool is_surrogate = code >= 0xD800 && code <= 0xDFFF;
  if (code < least || code > 0x10FFFF || is_surrogate) return {};
  return {code, length};
}

void append_reference(std::string& out, std::uint32_t code) {
  out += "&#" + std::to_string(code) + ";";
}

// What may not stand as it is (XML 1.0 2.2, 2.4, 3.3.3); false for all else.
bool append_special(std::string& out, std::uint32_t code) {
  switch (code) {
    case '<':
      out += "&lt;";
      return true;
    case '>':
      out += "&gt;";
      return true;
    case '&':
      out += "&amp;";
      return true;
    case '"':
      out += "&quot;";
      return true;
    case '\t':
    case '\n':
    case '\r':
      append_reference(out, code);
      return true;
    case 0x7F:
      out += "\xE2\x90\xA1";  // U+2421, the picture of DEL
      return true;
    case 0xFFFE:
    case 0xFFFF:
      out += kReplacement;
      return true;
    default:
      break;
  }
  if (code < 0x20) {
    out += "\xE2\x90";  // U+2400 and on
    out += static_cast<char>(0x80U + code);
    return true;
  }
  // Controls of Latin-1, and the line and paragraph separators of Unicode.
  if ((code >= 0x80 && code <= 0x9F) || code == 0x2028 || code == 0x2029) {
    append_reference(out, code);
    return true;
  }
  return false;
}

}  // namespace

std::string escape_xml(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const Character character = first_character(text);
    if (character.length == 0) {
      out += kReplacement;
      text.remove_prefix(1);
      continue;
    }
    if (!append_special(out, character.code)) out += text.substr(0, character.length);
    text.remove_prefix(character.length);
  }
  return out;
}

std::string shortened(std::string_view text, std::size_t most) {
  constexpr std::string_view kMark = "...";
  if (text.size() <= most) return std::string(text);
  std::size_t end = most - kMark.size();
  // Not inside a character: its further bytes begin with the bits 10.
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80) --end;
  return std::string(text.substr(0, end)) + std::string(kMark);
}

void XmlWriter::end_tag() {
  if (in_tag_) document_ += '>';
  in_tag_ = false;
}

void XmlWriter::open(std::string_view element) {
  end_tag();
  document_ += '<';
  document_ += element;
  open_.push_back(element);
  in_tag_ = true;
}

void XmlWriter::attribute(std::string_view name, std::string_view value) {
  document_ += ' ';
  document_ += name;
  document_ += "=\"";
  document_ += escape_xml(value);
  document_ += '"';
}

void XmlWriter::text(std::string_view value) {
  end_tag();
  document_ += escape_xml(value);
}

void XmlWriter::close() {
  if (in_tag_) {
    document_ += "/>";
    in_tag_ = false;
  } else {
    document_ += "</";
    document_ += open_.back();
    document_ += '>';
  }
  open_.pop_back();
}

}  // namespace sluice::audit
