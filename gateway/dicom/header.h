// The header of a data set as an index over its bytes, and the scanner that
// makes it while the bytes arrive.
//
// The header is everything before Pixel Data, Float or Double Float Pixel Data
// at top level, or the whole data set where there is none. The index tells of
// every element its tag, VR, place and length, at every depth; the bytes
// themselves stay in the spool. Values up to ScanLimits::retained_value are kept
// in memory, so that filters read them without touching the disk; an instance of
// any size costs its header only.
//
//   Scanner scanner(transfer_syntax(uid), {});
//   for (auto pdv : pdvs) if (auto ok = scanner.feed(pdv); !ok) ...   // corrupt
//   auto header = scanner.finish();
//
// A UN value of defined length that the dictionary knows as a sequence is indexed as
// one (written_as_un) when its bytes bear that out to their end; when they don't, it
// stays UN, and where it starts like an item its value is not kept in memory. An empty
// one is a sequence without items.
//
// Nothing is allocated by a claimed length, nothing recurses. Offsets count from
// the first byte of the data set; of a deflated one, after inflation.
// A Header is immutable and may be read from any thread; a Scanner belongs to one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "gateway/base/error.h"
#include "gateway/dicom/tag.h"
#include "gateway/dicom/transfer_syntax.h"
#include "gateway/dicom/vr.h"

namespace sluice::dicom {

using ElementIndex = std::uint32_t;
inline constexpr ElementIndex kRoot =
    std::numeric_limits<ElementIndex>::max();  // the data set itself
inline constexpr std::uint32_t kUndefinedLength = 0xFFFFFFFFU;
inline constexpr std::uint32_t kNotKept = 0xFFFFFFFFU;

// One data element or item, in the order of the bytes: a sequence is followed by
// its items (tag FFFE,E000), an item by its elements. Delimiters have no entry of
// their own; they lie between the last child and `end` of what they close.
struct Element {
  Tag tag;
  Vr vr = Vr::UN;          // of a sequence: SQ, also where it stands as UN; of an item: UN
  std::uint8_t depth = 0;  // parents up to the top level: an item in a top-level sequence has 1
  std::uint8_t header_length = 0;  // 8 or 12 bytes before the value
  bool implicit_vr = false;        // no VR in the bytes: implicit data set, or inside UN
  bool written_as_un = false;      // a sequence that stands as UN (PS3.5 6.2.2 note 2)
  std::uint32_t length = 0;        // of the value, as encoded; may be kUndefinedLength
  ElementIndex parent = kRoot;     // an item's sequence, an element's item
  std::uint32_t kept = kNotKept;   // where Header keeps the value; read it by Header::value().
                                   // Of an item: how many stand before it
  std::uint64_t offset = 0;        // of the tag
  std::uint64_t end = 0;           // behind the value, delimiter included

  [[nodiscard]] std::uint64_t value_offset() const { return offset + header_length; }
  [[nodiscard]] bool is_item() const { return tag == tags::kItem; }
  [[nodiscard]] bool is_sequence() const { return vr == Vr::SQ; }

  // The VR by which to read the value: the dictionary's where the bytes say UN.
  [[nodiscard]] Vr known_vr() const;
};

inline constexpr std::uint32_t kMostNesting = 120;

struct ScanLimits {
  std::uint32_t depth = 64;                      // nested sequences, kMostNesting at most
  std::uint32_t elements = 2'000'000;            // entries of the index
  std::uint64_t retained_value = 16UL * 1024;    // longer values stay on disk; UI up to 1 MiB
  std::uint64_t retained_total = 256ULL << 20U;  // bytes of values in memory
  std::uint64_t inflated = 4ULL << 30U;          // a deflated data set may grow to
  std::uint64_t inflate_ratio = 1100;            // and by; zlib's own limit is 1032
  std::uint64_t header_inflate_ratio = 1100;     // the same before the pixel data
};

class Header {
 public:
  [[nodiscard]] const TransferSyntax& transfer_syntax() const { return transfer_syntax_; }
  [[nodiscard]] std::span<const Element> elements() const { return elements_; }
  [[nodiscard]] const Element& operator[](ElementIndex index) const { return elements_[index]; }

  // Bytes before the pixel data, or of the whole data set; where a patch may write.
  [[nodiscard]] std::uint64_t length() const { return length_; }

  // A top-level tag came twice or after a higher one (PS3.5 7.1).
  [[nodiscard]] bool is_unordered() const { return unordered_; }

  // Which ones, for a person, behind the pixel data too: "(0020,0011) twice; (0008,0016)
  // out of order". "" when there are none; of many the first few and how many more.
  [[nodiscard]] std::string irregular_tags() const;

  // The value as encoded, padding included; nullopt for sequences, items, and
  // values too long to be kept.
  [[nodiscard]] std::optional<std::string_view> value(ElementIndex index) const;

  // The byte order of the value: what is inside UN is little endian (PS3.5 6.2.2).
  [[nodiscard]] bool is_big_endian(ElementIndex index) const;

  // The first index behind the element and all that is in it: its next sibling,
  // where it has one.
  [[nodiscard]] ElementIndex after(ElementIndex index) const;

  // The first element with this tag in the item `parent`; kRoot: at top level.
  // Returns nullopt when there is none.
  [[nodiscard]] std::optional<ElementIndex> find(Tag tag, ElementIndex parent = kRoot) const;

  // True for what stands in an item of this sequence, at any depth.
  [[nodiscard]] bool is_inside(ElementIndex index, Tag sequence) const;

  // "ReferencedFrameOfReferenceSequence[0].(3006,0012)[1].ReferencedSOPInstanceUID":
  // keywords, tags where the dictionary has none, items counted from 0.
  [[nodiscard]] std::string path(ElementIndex index) const;

 private:
  friend class Walker;
  TransferSyntax transfer_syntax_;
  std::vector<Element> elements_;
  std::vector<ElementIndex> top_;  // those at top level
  std::vector<Tag> behind_;        // the first at top level from the pixel data on
  std::string values_;
  std::uint64_t length_ = 0;
  bool unordered_ = false;
};

// Takes the bytes of a data set as received (deflated ones deflated) in pieces of
// any size, behind the pixel data too: there it checks the structure only.
class Scanner {
 public:
  Scanner(TransferSyntax transfer_syntax, ScanLimits limits);
  ~Scanner();
  Scanner(const Scanner&) = delete;
  Scanner& operator=(const Scanner&) = delete;
  Scanner(Scanner&&) noexcept;
  Scanner& operator=(Scanner&&) noexcept;

  // Errors: corrupt, with tag and offset; the scanner then stays failed. A value
  // longer than its sequence or item, an item where none may stand, a delimiter
  // without its sequence, a depth, count or inflation limit.
  [[nodiscard]] Result<void> feed(std::span<const std::byte> bytes);

  // True once the index is complete: pixel data was reached.
  [[nodiscard]] bool header_complete() const;

  // All bytes were fed. Errors: corrupt, when the data set ends inside an element.
  [[nodiscard]] Result<Header> finish();

  // The header after header_complete(), without having seen the rest, which may be
  // fed afterwards. Errors: corrupt, when a piece was refused or the header goes on.
  [[nodiscard]] Result<Header> finish_header();

 private:
  class State;
  std::unique_ptr<State> state_;
};

// The whole data set at once.
[[nodiscard]] Result<Header> scan(std::span<const std::byte> data_set, const TransferSyntax& syntax,
                                  const ScanLimits& limits = {});

}  // namespace sluice::dicom
