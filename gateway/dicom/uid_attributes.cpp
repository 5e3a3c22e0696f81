// Which UI attributes name something other than an instance, study, series, frame
// of reference or the like. All UI attributes of PS3.6 (2022 to 2024) were gone
// through; what is not in the table counts as a reference, so that a replacement
// reaches attributes which the standard adds later, and private ones.
#include <algorithm>
#include <array>

#include "gateway/dicom/uid.h"

namespace sluice::dicom {

namespace {

constexpr std::array kNeverReplaced = {
    // File meta information and media directories (PS3.10 7.1, PS3.3 F.3)
    Tag{0x0002, 0x0002},  // Media Storage SOP Class
    Tag{0x0002, 0x0010},  // Transfer Syntax
    Tag{0x0002, 0x0012},  // Implementation Class
    Tag{0x0002, 0x0032},  // Real-Time Video Communication SOP Class
    Tag{0x0002, 0x0100},  // Private Information Creator
    Tag{0x0004, 0x1510},  // Referenced SOP Class in File
    Tag{0x0004, 0x1512},  // Referenced Transfer Syntax in File
    Tag{0x0004, 0x151A},  // Referenced Related General SOP Class in File
    // SOP Common, codes and contexts (PS3.3 C.12.1, 8)
    Tag{0x0008, 0x0014},  // Instance Creator: a device or its maker
    Tag{0x0008, 0x0016},  // SOP Class
    Tag{0x0008, 0x001A},  // Related General SOP Class
    Tag{0x0008, 0x001B},  // Original Specialized SOP Class
    Tag{0x0008, 0x0062},  // SOP Classes in Study
    Tag{0x0008, 0x010C},  // Coding Scheme
    Tag{0x0008, 0x010D},  // Context Group Extension Creator
    Tag{0x0008, 0x0117},  // Context
    Tag{0x0008, 0x0118},  // Mapping Resource
    Tag{0x0008, 0x040E},  // Stored Instance Transfer Syntax
    Tag{0x0008, 0x1150},  // Referenced SOP Class
    Tag{0x0008, 0x115A},  // SOP Classes Supported
    Tag{0x0008, 0x3002},  // Available Transfer Syntax
    Tag{0x0008, 0x9123},  // Creator Version
    // Devices (PS3.3 C.7.5.1): one device has one UID in all its studies
    Tag{0x0018, 0x1002},  // Device
    Tag{0x0018, 0x100B},  // Manufacturer's Device Class
    Tag{0x0034, 0x0003},  // Flow Transfer Syntax
    // Templates and where things are kept, shared beyond one study
    Tag{0x0040, 0xDB0C},  // Template Extension Organization
    Tag{0x0040, 0xDB0D},  // Template Extension Creator
    Tag{0x0040, 0xE011},  // Retrieve Location
    Tag{0x0040, 0xE030},  // Repository Unique ID
    Tag{0x0040, 0xE031},  // Home Community ID
    // Signatures and encryption (PS3.3 C.12.1.1.3, C.12.1.1.4.1)
    Tag{0x0400, 0x0010},  // MAC Calculation Transfer Syntax
    Tag{0x0400, 0x0510},  // Encrypted Content Transfer Syntax
    // Radiotherapy
    Tag{0x3010, 0x001F},  // Segmentation Template
    Tag{0x3010, 0x0052},  // Pertinent SOP Classes in Study
    Tag{0x3010, 0x0053},  // Pertinent SOP Classes in Series
};

static_assert(std::is_sorted(kNeverReplaced.begin(), kNeverReplaced.end()));

}  // namespace

bool is_instance_reference(Tag tag) {
  return !std::binary_search(kNeverReplaced.begin(), kNeverReplaced.end(), tag);
}

}  // namespace sluice::dicom
