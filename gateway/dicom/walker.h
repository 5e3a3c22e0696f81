// The state machine of the scanner: takes the bytes of a data set that is not
// deflated, in pieces of any size, and writes the index. Private to gateway/dicom.
//
// What is open (sequences, items, encapsulated fragments) stands on a stack of its
// own, so nesting costs no call depth. A header of 8 or 12 bytes is parsed where it
// lies when the piece holds it whole, otherwise it is gathered in `pending_`; values
// are copied once when they are kept, and skipped when not.
//
// Behind the pixel data the same walk goes on without writing the index.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "gateway/base/error.h"
#include "gateway/dicom/header.h"

namespace sluice::dicom {

class Walker {
 public:
  Walker(TransferSyntax transfer_syntax, ScanLimits limits);

  [[nodiscard]] Result<void> feed(std::span<const std::byte> bytes);
  [[nodiscard]] bool header_complete() const { return !indexing_; }
  [[nodiscard]] Result<Header> finish();
  [[nodiscard]] Result<Header> finish_header() const;

 private:
  enum class Kind : std::uint8_t { sequence, item, fragments };

  // What comes of looking at an element header.
  enum class Outcome {
    consumed,   // `consumed_` bytes of it
    need_more,  // until `needed_` bytes are there
    reopened,   // a UN sequence turned out to be none; what follows is its value
    failed,     // see error_
  };

  struct Open {
    Kind kind = Kind::sequence;
    bool undefined = false;    // closed by a delimiter, not by `end`
    bool implicit_vr = false;  // how the content is encoded
    bool big_endian = false;
    bool guessed = false;  // a UN of defined length: may fall back to a value
    Tag tag;
    ElementIndex index = kRoot;  // kRoot behind the pixel data
    std::uint64_t offset = 0;
    std::uint64_t end = 0;        // its own, or that of what is around it
    std::size_t kept_before = 0;  // bytes of kept values when it was opened
    std::uint32_t items = 0;      // so far
  };

  struct Field {
    Tag tag;
    Vr vr = Vr::UN;
    std::uint8_t header_length = 8;
    std::uint32_t length = 0;
  };

  void skip_or_keep(std::span<const std::byte>& bytes);
  [[nodiscard]] Outcome parse(const std::uint8_t* bytes, std::size_t size);
  [[nodiscard]] Outcome parse_in_sequence(const std::uint8_t* bytes);
  [[nodiscard]] Outcome parse_item(std::uint32_t length);
  [[nodiscard]] Outcome parse_delimiter(Tag tag, std::uint32_t length);
  [[nodiscard]] Outcome parse_element(const std::uint8_t* bytes, std::size_t size, Tag tag);
  [[nodiscard]] Outcome read_field(const std::uint8_t* bytes, std::size_t size, Field& field);
  [[nodiscard]] Outcome check_tag(Tag tag);
  [[nodiscard]] Outcome take_undefined(const Field& field);
  [[nodiscard]] Outcome take_defined(const Field& field, bool is_sequence);
  [[nodiscard]] Outcome open(const Field& field, Kind kind, bool through_un);
  [[nodiscard]] Outcome add(const Field& field, std::uint64_t end);
  void close_top();
  void close_finished();
  void set_mode();

  // A rule of the structure is broken at the element that starts at position_.
  // Inside a guessed UN sequence that only shows that it is none.
  [[nodiscard]] Outcome broken(Tag tag, const std::string& what);
  [[nodiscard]] Outcome over_limit(Tag tag, const std::string& what);
  [[nodiscard]] static std::string place(Tag tag, std::uint64_t offset);
  [[nodiscard]] std::string around() const;
  void settle_guess();
  [[nodiscard]] Result<void> check_end() const;

  [[nodiscard]] std::uint16_t read16(const std::uint8_t* bytes) const;
  [[nodiscard]] std::uint32_t read32(const std::uint8_t* bytes) const;
  [[nodiscard]] Tag read_tag(const std::uint8_t* bytes) const;
  [[nodiscard]] std::uint64_t room() const;

  ScanLimits limits_;
  Header header_;
  std::vector<Open> stack_;
  std::uint32_t sequences_ = 0;  // on the stack

  std::uint64_t position_ = 0;    // of the next byte that is not parsed or skipped
  std::uint64_t value_left_ = 0;  // bytes of the present value still to come
  bool keep_value_ = false;
  std::array<std::uint8_t, 16> pending_{};
  std::size_t pending_size_ = 0;
  std::size_t needed_ = 8;
  std::size_t consumed_ = 0;

  bool implicit_vr_ = false;  // of the place at position_
  bool big_endian_ = false;
  bool indexing_ = true;
  Tag value_tag_;  // whose value is on its way, for messages
  std::uint64_t value_offset_ = 0;
  Tag last_top_tag_;
  bool any_top_ = false;
  std::string error_;
};

}  // namespace sluice::dicom
