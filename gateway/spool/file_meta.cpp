#include "gateway/spool/file_meta.h"

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "gateway/dicom/implementation.h"

namespace sluice {
namespace {

constexpr std::size_t kPreambleLength = 128;
constexpr std::size_t kMaximumUidLength = 64;      // PS3.5 9.1
constexpr std::size_t kMaximumAeTitleLength = 16;  // PS3.5 6.2

void append_number(std::string& out, std::uint64_t value, unsigned bytes) {
  for (unsigned i = 0; i < bytes; ++i) out += static_cast<char>((value >> (8 * i)) & 0xFFU);
}

void append_tag(std::string& out, std::uint16_t element, std::string_view vr) {
  append_number(out, 0x0002, 2);
  append_number(out, element, 2);
  out += vr;
}

// For a VR whose length field has 16 bits (PS3.5 7.1.2).
void append_text(std::string& out, std::uint16_t element, std::string_view vr,
                 std::string_view value, std::size_t maximum, char padding) {
  value = value.substr(0, maximum);
  append_tag(out, element, vr);
  append_number(out, value.size() + value.size() % 2, 2);
  out += value;
  if (value.size() % 2 != 0) out += padding;
}

void append_uid(std::string& out, std::uint16_t element, std::string_view value) {
  append_text(out, element, "UI", value, kMaximumUidLength, '\0');
}

}  // namespace

std::string encode_file_head(const FileMeta& meta) {
  std::string group;
  append_tag(group, 0x0001, "OB");  // File Meta Information Version: 00 01
  append_number(group, 0, 2);
  append_number(group, 2, 4);
  group += '\0';
  group += '\1';
  append_uid(group, 0x0002, meta.sop_class_uid);
  append_uid(group, 0x0003, meta.sop_instance_uid);
  append_uid(group, 0x0010, meta.transfer_syntax_uid);
  append_uid(group, 0x0012, dicom::kImplementationClassUid);
  append_text(group, 0x0013, "SH", dicom::kImplementationVersionName,
              dicom::kImplementationVersionName.size(), ' ');
  append_text(group, 0x0016, "AE", meta.sending_ae_title, kMaximumAeTitleLength, ' ');

  std::string head(kPreambleLength, '\0');
  head += "DICM";
  append_tag(head, 0x0000, "UL");  // File Meta Information Group Length
  append_number(head, 4, 2);
  append_number(head, group.size(), 4);
  return head + group;
}

}  // namespace sluice
