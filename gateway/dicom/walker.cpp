#include "gateway/dicom/walker.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace sluice::dicom {

namespace {

constexpr std::uint64_t kUnbounded = std::numeric_limits<std::uint64_t>::max();
constexpr std::uint64_t kLongestUids = 1U << 20U;
static_assert(2 * kMostNesting < 256, "Element::depth counts items too, in 8 bits");
constexpr std::size_t kMostBehind = 1000;  // tags that are remembered behind the pixel data
constexpr std::size_t kUsualElements = 320;
constexpr std::size_t kUsualValues = 8UL * 1024;

bool is_pixel_data(Tag tag) {
  return tag == tags::kPixelData || tag == tags::kFloatPixelData ||
         tag == tags::kDoubleFloatPixelData;
}

bool is_capital(std::uint8_t byte) {
  return byte >= 'A' && byte <= 'Z';
}

std::string bytes_of(std::uint64_t count) {
  return std::to_string(count) + (count == 1 ? " byte" : " bytes");
}

}  // namespace

Walker::Walker(TransferSyntax transfer_syntax, ScanLimits limits) : limits_(limits) {
  limits_.depth = std::min(limits_.depth, kMostNesting);
  limits_.elements = std::min(limits_.elements, kRoot - 1);
  limits_.retained_total = std::min<std::uint64_t>(limits_.retained_total, kNotKept - 1);
  header_.transfer_syntax_ = std::move(transfer_syntax);
  header_.elements_.reserve(kUsualElements);
  header_.top_.reserve(kUsualElements);
  header_.values_.reserve(kUsualValues);
  set_mode();
}

Result<void> Walker::feed(std::span<const std::byte> bytes) {
  while (error_.empty()) {
    if (value_left_ > 0) {
      skip_or_keep(bytes);
      if (value_left_ > 0) return {};
      close_finished();
    }
    const bool direct = pending_size_ == 0 && bytes.size() >= pending_.size();
    if (!direct) {
      const std::size_t taken = std::min(bytes.size(), needed_ - std::min(needed_, pending_size_));
      std::transform(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(taken),
                     pending_.begin() + pending_size_,
                     [](std::byte byte) { return std::to_integer<std::uint8_t>(byte); });
      pending_size_ += taken;
      bytes = bytes.subspan(taken);
      if (pending_size_ < needed_) return {};
    }
    const auto* start =
        direct ? reinterpret_cast<const std::uint8_t*>(bytes.data()) : pending_.data();
    const Outcome outcome = parse(start, direct ? bytes.size() : pending_size_);
    if (outcome == Outcome::need_more || outcome == Outcome::failed) continue;
    const std::size_t consumed = outcome == Outcome::consumed ? consumed_ : 0;
    needed_ = 8;
    if (direct) {
      bytes = bytes.subspan(consumed);
    } else {
      std::copy(pending_.begin() + consumed, pending_.begin() + pending_size_, pending_.begin());
      pending_size_ -= consumed;
    }
    if (value_left_ == 0) close_finished();
  }
  return failure(ErrorCode::corrupt, error_);
}

// Bytes that were gathered for a look at what follows belong to the value first.
void Walker::skip_or_keep(std::span<const std::byte>& bytes) {
  const auto pass = [this](const char* data, std::size_t available) {
    const auto taken = static_cast<std::size_t>(std::min<std::uint64_t>(available, value_left_));
    if (keep_value_) header_.values_.append(data, taken);
    value_left_ -= taken;
    position_ += taken;
    return taken;
  };
  if (pending_size_ > 0) {
    const std::size_t taken = pass(reinterpret_cast<const char*>(pending_.data()), pending_size_);
    std::copy(pending_.begin() + taken, pending_.begin() + pending_size_, pending_.begin());
    pending_size_ -= taken;
  }
  bytes = bytes.subspan(pass(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
}

Walker::Outcome Walker::parse(const std::uint8_t* bytes, std::size_t size) {
  const Tag tag = read_tag(bytes);
  if (room() == 0) return broken(tag, around() + " ends before its delimiter");
  if (room() < 8) {
    return broken(tag, bytes_of(room()) + " left over at the end of " + around());
  }
  if (!stack_.empty() && stack_.back().kind != Kind::item) return parse_in_sequence(bytes);
  if (tag.group == 0xFFFE) return parse_delimiter(tag, read32(bytes + 4));
  return parse_element(bytes, size, tag);
}

Walker::Outcome Walker::parse_in_sequence(const std::uint8_t* bytes) {
  const Tag tag = read_tag(bytes);
  const std::uint32_t length = read32(bytes + 4);
  if (tag == tags::kItem) return parse_item(length);
  if (tag == tags::kSequenceDelimitation) return parse_delimiter(tag, length);
  return broken(tag, "an item was to come in " + around());
}

Walker::Outcome Walker::parse_item(std::uint32_t length) {
  const Field item{tags::kItem, Vr::UN, 8, length};
  if (length != kUndefinedLength && length > room() - 8) {
    return broken(tags::kItem, "item of " + bytes_of(length) + " does not fit the " +
                                   bytes_of(room() - 8) + " left of " + around());
  }
  if (stack_.back().kind == Kind::sequence) return open(item, Kind::item, false);
  if (length == kUndefinedLength) {
    return broken(tags::kItem, "a fragment of undefined length in " + around());
  }
  value_tag_ = tags::kItem;
  value_offset_ = position_;
  consumed_ = 8;
  position_ += 8;
  value_left_ = length;
  keep_value_ = false;
  return Outcome::consumed;
}

Walker::Outcome Walker::parse_delimiter(Tag tag, std::uint32_t length) {
  const bool of_item = tag == tags::kItemDelimitation;
  // Some writers end what has a length by a delimiter as well: there it does no harm.
  const bool may_end =
      !stack_.empty() && (stack_.back().undefined || stack_.back().end == position_ + 8);
  const bool fits =
      may_end && (of_item ? stack_.back().kind == Kind::item
                          : tag == tags::kSequenceDelimitation && stack_.back().kind != Kind::item);
  if (!fits) {
    const std::string what = tag == tags::kItem                   ? "an item"
                             : of_item                            ? "an item delimiter"
                             : tag == tags::kSequenceDelimitation ? "a sequence delimiter"
                                                                  : "a tag of group FFFE";
    return broken(tag, what + " where none may stand, in " + around());
  }
  if (length != 0) return broken(tag, "a delimiter of " + bytes_of(length) + " instead of none");
  consumed_ = 8;
  position_ += 8;
  if (stack_.back().undefined) close_top();
  return Outcome::consumed;
}

Walker::Outcome Walker::check_tag(Tag tag) {
  if (!stack_.empty()) return Outcome::consumed;
  if (tag.group == 0x0000) return broken(tag, "a command element inside a data set");
  if (tag.group == 0x0002) return broken(tag, "a file meta element inside a data set");
  if (!indexing_ && tag < tags::kFloatPixelData) {
    // A second Study Instance UID here would pass every filter and be read by the PACS.
    return broken(tag, "it belongs before the pixel data and stands behind it, unseen by filters");
  }
  if (any_top_ && tag <= last_top_tag_) header_.unordered_ = true;
  any_top_ = true;
  last_top_tag_ = tag;
  if (indexing_ && is_pixel_data(tag)) {
    indexing_ = false;
    header_.length_ = position_;
  }
  if (!indexing_ && header_.behind_.size() < kMostBehind) header_.behind_.push_back(tag);
  return Outcome::consumed;
}

Walker::Outcome Walker::read_field(const std::uint8_t* bytes, std::size_t size, Field& field) {
  if (implicit_vr_) {
    field.length = read32(bytes + 4);
    return Outcome::consumed;
  }
  if (!is_capital(bytes[4]) || !is_capital(bytes[5])) {
    return broken(field.tag,
                  "no VR of two capital letters; the data set is not in explicit VR, or "
                  "an element before has a wrong length");
  }
  field.vr = static_cast<Vr>((bytes[4] << 8U) | bytes[5]);
  if (!has_long_length(field.vr)) {
    field.length = read16(bytes + 6);
    return Outcome::consumed;
  }
  if (room() < 12) {
    return broken(field.tag, bytes_of(room()) + " left over at the end of " + around());
  }
  field.header_length = 12;
  if (size < 12) {
    needed_ = 12;
    return Outcome::need_more;
  }
  field.length = read32(bytes + 8);
  return Outcome::consumed;
}

Walker::Outcome Walker::parse_element(const std::uint8_t* bytes, std::size_t size, Tag tag) {
  Field field{tag, Vr::UN, 8, 0};
  if (const Outcome read = read_field(bytes, size, field); read != Outcome::consumed) return read;
  if (implicit_vr_) field.vr = dictionary_vr(tag);
  const bool known_sequence = !implicit_vr_ && field.vr == Vr::UN &&
                              field.length != kUndefinedLength && dictionary_vr(tag) == Vr::SQ;
  bool through_un = known_sequence && field.length == 0;
  if (known_sequence && field.length >= 8) {
    // What is inside UN is little endian, in a big endian data set too.
    if (size < field.header_length + 4U) {
      needed_ = field.header_length + 4U;
      return Outcome::need_more;
    }
    constexpr std::array<std::uint8_t, 4> kItemBytes{0xFE, 0xFF, 0x00, 0xE0};
    through_un = std::equal(kItemBytes.begin(), kItemBytes.end(), bytes + field.header_length);
  }
  if (const Outcome checked = check_tag(tag); checked != Outcome::consumed) return checked;
  if (field.length == kUndefinedLength) return take_undefined(field);
  if (field.length > room() - field.header_length) {
    return broken(tag, "value of " + bytes_of(field.length) + " does not fit the " +
                           bytes_of(room() - field.header_length) + " left of " + around());
  }
  if (through_un) return open(field, Kind::sequence, true);
  return take_defined(field, field.vr == Vr::SQ);
}

// PS3.5 6.2.2 note 2, 7.5, A.4
Walker::Outcome Walker::take_undefined(const Field& field) {
  if (field.vr == Vr::SQ) return open(field, Kind::sequence, false);
  if (is_pixel_data(field.tag) || field.vr == Vr::OB || field.vr == Vr::OW) {
    return open(field, Kind::fragments, false);
  }
  if (field.vr == Vr::UN) return open(field, Kind::sequence, !implicit_vr_);
  return broken(field.tag, "undefined length with VR " + to_string(field.vr));
}

Walker::Outcome Walker::take_defined(const Field& field, bool is_sequence) {
  if (is_sequence) return open(field, Kind::sequence, false);
  const bool uids =
      field.vr == Vr::UI || (field.vr == Vr::UN && field.length > limits_.retained_value &&
                             dictionary_vr(field.tag) == Vr::UI);
  if (indexing_ && uids && field.length > kLongestUids) {
    return over_limit(field.tag, "a UI value of " + bytes_of(field.length));
  }
  keep_value_ = indexing_ && (uids || field.length <= limits_.retained_value);
  if (keep_value_ && header_.values_.size() + field.length > limits_.retained_total) {
    return over_limit(
        field.tag, "the values of the header take more than " + bytes_of(limits_.retained_total));
  }
  const auto kept = static_cast<std::uint32_t>(header_.values_.size());
  const std::uint64_t end = position_ + field.header_length + field.length;
  if (const Outcome added = add(field, end); added != Outcome::consumed) return added;
  if (keep_value_) header_.elements_.back().kept = kept;
  value_tag_ = field.tag;
  value_offset_ = position_;
  value_left_ = field.length;
  consumed_ = field.header_length;
  position_ += field.header_length;
  return Outcome::consumed;
}

Walker::Outcome Walker::add(const Field& field, std::uint64_t end) {
  if (!indexing_) return Outcome::consumed;
  if (header_.elements_.size() >= limits_.elements) {
    return over_limit(field.tag, "more than " + std::to_string(limits_.elements) + " elements");
  }
  const auto index = static_cast<ElementIndex>(header_.elements_.size());
  if (stack_.empty()) header_.top_.push_back(index);
  Element& element = header_.elements_.emplace_back();
  element.tag = field.tag;
  element.vr = field.vr;
  element.depth = static_cast<std::uint8_t>(stack_.size());
  element.header_length = field.header_length;
  element.implicit_vr = implicit_vr_;
  element.length = field.length;
  element.parent = stack_.empty() ? kRoot : stack_.back().index;
  element.offset = position_;
  element.end = end;
  if (element.is_item() && !stack_.empty()) element.kept = stack_.back().items++;
  return Outcome::consumed;
}

Walker::Outcome Walker::open(const Field& field, Kind kind, bool through_un) {
  if (kind == Kind::sequence && sequences_ >= limits_.depth) {
    return over_limit(field.tag,
                      "sequences nested more than " + std::to_string(limits_.depth) + " deep");
  }
  if (const Outcome added = add(field, 0); added != Outcome::consumed) return added;
  Open opened;
  opened.kind = kind;
  opened.undefined = field.length == kUndefinedLength;
  opened.implicit_vr = implicit_vr_ || through_un;
  opened.big_endian = big_endian_ && !through_un;
  opened.guessed = through_un && !opened.undefined;
  opened.tag = field.tag;
  opened.offset = position_;
  opened.end =
      opened.undefined ? position_ + room() : position_ + field.header_length + field.length;
  if (opened.undefined && room() == kUnbounded) opened.end = kUnbounded;
  opened.kept_before = header_.values_.size();
  if (indexing_) {
    opened.index = static_cast<ElementIndex>(header_.elements_.size() - 1);
    Element& element = header_.elements_.back();
    if (kind == Kind::sequence) element.vr = Vr::SQ;
    element.written_as_un = through_un;
  }
  if (kind == Kind::sequence) ++sequences_;
  stack_.push_back(opened);
  set_mode();
  consumed_ = field.header_length;
  position_ += field.header_length;
  return Outcome::consumed;
}

void Walker::close_top() {
  const Open& top = stack_.back();
  if (top.index != kRoot) header_.elements_[top.index].end = position_;
  if (top.kind == Kind::sequence) --sequences_;
  stack_.pop_back();
  set_mode();
}

void Walker::close_finished() {
  while (!stack_.empty() && !stack_.back().undefined && stack_.back().end == position_) close_top();
}

void Walker::set_mode() {
  implicit_vr_ = stack_.empty() ? !header_.transfer_syntax_.explicit_vr : stack_.back().implicit_vr;
  big_endian_ = stack_.empty() ? header_.transfer_syntax_.big_endian : stack_.back().big_endian;
}

Walker::Outcome Walker::broken(Tag tag, const std::string& what) {
  const auto guess =
      std::find_if(stack_.begin(), stack_.end(), [](const Open& open) { return open.guessed; });
  if (guess == stack_.end()) return over_limit(tag, what);
  const Open un = *guess;
  const auto closed = std::count_if(guess, stack_.end(),
                                    [](const Open& open) { return open.kind == Kind::sequence; });
  sequences_ -= static_cast<std::uint32_t>(closed);
  stack_.erase(guess, stack_.end());
  set_mode();
  if (un.index != kRoot) {
    header_.elements_.resize(un.index + 1);
    header_.values_.resize(un.kept_before);
    Element& element = header_.elements_.back();
    element.vr = Vr::UN;
    element.written_as_un = false;
    element.end = un.end;
  }
  value_tag_ = un.tag;
  value_offset_ = un.offset;
  value_left_ = un.end - position_;
  keep_value_ = false;  // its first bytes are gone already
  return Outcome::reopened;
}

Walker::Outcome Walker::over_limit(Tag tag, const std::string& what) {
  error_ = place(tag, position_) + ": " + what;
  return Outcome::failed;
}

std::string Walker::place(Tag tag, std::uint64_t offset) {
  return to_string(tag) + " at byte " + std::to_string(offset);
}

std::string Walker::around() const {
  if (stack_.empty()) return "the data set";
  const Open& top = stack_.back();
  const std::string kind = top.kind == Kind::item       ? "the item"
                           : top.kind == Kind::sequence ? "the sequence " + to_string(top.tag)
                                                        : "the fragments of " + to_string(top.tag);
  return kind + " at byte " + std::to_string(top.offset);
}

Result<void> Walker::check_end() const {
  if (!error_.empty()) return failure(ErrorCode::corrupt, error_);
  if (value_left_ > 0) {
    return failure(ErrorCode::corrupt, place(value_tag_, value_offset_) + ": the data set ends " +
                                           bytes_of(value_left_ - pending_size_) +
                                           " before the end of the value");
  }
  if (pending_size_ > 0) {
    return failure(ErrorCode::corrupt, "the data set ends inside the element header at byte " +
                                           std::to_string(position_));
  }
  if (!stack_.empty()) {
    return failure(ErrorCode::corrupt, "the data set ends at byte " + std::to_string(position_) +
                                           ", inside " + around());
  }
  return {};
}

// At the end of the data set no more bytes come to show that a guess was wrong.
void Walker::settle_guess() {
  if (!error_.empty() || stack_.empty() || value_left_ > 0 || room() >= 8) return;
  const bool guessed =
      std::any_of(stack_.begin(), stack_.end(), [](const Open& open) { return open.guessed; });
  if (!guessed || pending_size_ < room()) return;
  if (broken(stack_.back().tag, "it ends before its delimiter") != Outcome::reopened) return;
  std::span<const std::byte> none;
  skip_or_keep(none);
  close_finished();
}

Result<Header> Walker::finish() {
  settle_guess();
  if (auto whole = check_end(); !whole) return tl::unexpected(whole.error());
  if (indexing_) header_.length_ = position_;
  return std::exchange(header_, Header{});
}

Result<Header> Walker::finish_header() const {
  if (!error_.empty()) return failure(ErrorCode::corrupt, error_);
  if (indexing_) {
    return failure(ErrorCode::corrupt, "the header of the data set is not complete at byte " +
                                           std::to_string(position_));
  }
  return header_;
}

std::uint16_t Walker::read16(const std::uint8_t* bytes) const {
  return static_cast<std::uint16_t>(big_endian_ ? (bytes[0] << 8U) | bytes[1]
                                                : (bytes[1] << 8U) | bytes[0]);
}

std::uint32_t Walker::read32(const std::uint8_t* bytes) const {
  const auto high = static_cast<std::uint32_t>(read16(bytes + (big_endian_ ? 0 : 2)));
  return (high << 16U) | read16(bytes + (big_endian_ ? 2 : 0));
}

Tag Walker::read_tag(const std::uint8_t* bytes) const {
  return {read16(bytes), read16(bytes + 2)};
}

std::uint64_t Walker::room() const {
  if (stack_.empty() || stack_.back().end == kUnbounded) return kUnbounded;
  return stack_.back().end - position_;
}

}  // namespace sluice::dicom
