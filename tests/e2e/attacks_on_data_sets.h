// Data sets whose structure lies, and what else one C-STORE can do (PS3.5 7, PS3.7 9.1.1).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#define ZLIB_CONST
#include <zlib.h>

#include <gtest/gtest.h>

#include "tests/e2e/attack.h"

namespace sluice::test {

inline constexpr std::size_t kUndefinedLength = 0xFFFFFFFFU;

// Explicit VR little endian, any length, true or not.
inline std::string explicit_head(std::size_t group, std::size_t number, const std::string& vr,
                                 std::size_t length) {
  const bool is_long = std::string_view("OB OW SQ UN UT").find(vr) != std::string_view::npos;
  return little16(group) + little16(number) + vr +
         (is_long ? little16(0) + little32(length) : little16(length));
}
inline std::string explicit_element(std::size_t group, std::size_t number, const std::string& vr,
                                    std::string value) {
  if (value.size() % 2 != 0) value.push_back(vr == "UI" ? '\0' : ' ');
  return explicit_head(group, number, vr, value.size()) + value;
}
inline std::string implicit_head(std::size_t group, std::size_t number, std::size_t length) {
  return little16(group) + little16(number) + little32(length);
}
inline std::string item_head(std::size_t length) {
  return implicit_head(0xFFFE, 0xE000, length);
}

// The identifiers, and a name that no log may have.
inline std::string explicit_data_set(const std::string& sop_instance = kAttacker) {
  return explicit_element(0x0008, 0x0016, "UI", kCtStorage) +
         explicit_element(0x0008, 0x0018, "UI", sop_instance) +
         explicit_element(0x0010, 0x0010, "PN", "Secret^Name") +
         explicit_element(0x0020, 0x000D, "UI", "1.2.3.1") +
         explicit_element(0x0020, 0x000E, "UI", "1.2.3.2");
}

// A raw deflate stream of this text, then of so many bytes of one value.
inline std::string deflated(const std::string& text, std::size_t more, char value) {
  z_stream stream{};
  constexpr int kRaw = -15;
  deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, kRaw, 9, Z_DEFAULT_STRATEGY);
  std::string out;
  const auto put = [&](const std::string& piece, int flush) {
    std::string buffer(1 << 16U, '\0');
    stream.next_in = reinterpret_cast<const Bytef*>(piece.data());
    stream.avail_in = static_cast<uInt>(piece.size());
    do {
      stream.next_out = reinterpret_cast<Bytef*>(buffer.data());
      stream.avail_out = static_cast<uInt>(buffer.size());
      deflate(&stream, flush);
      out.append(buffer, 0, buffer.size() - stream.avail_out);
    } while (stream.avail_out == 0);
  };
  put(text, Z_NO_FLUSH);
  const std::string piece(std::size_t{1} << 20U, value);
  for (; more > piece.size(); more -= piece.size()) put(piece, Z_NO_FLUSH);
  put(piece.substr(0, more), Z_FINISH);
  deflateEnd(&stream);
  if (out.size() % 2 != 0) out.push_back('\0');
  return out;
}

// Sequences in sequences; `defined`: each with its length.
inline std::string nested(const std::string& vr, bool is_defined) {
  constexpr std::size_t kDepth = 10'000;
  const std::size_t head = vr.empty() ? 8 : 12;
  std::string all;
  for (std::size_t i = kDepth; i > 0; --i) {
    const std::size_t inner = is_defined ? i * (head + 8) - head : kUndefinedLength;
    all += vr.empty() ? implicit_head(0x0008, 0x1115, inner)
                      : explicit_head(0x0008, 0x1115, vr, inner);
    all += item_head(is_defined ? inner - 8 : kUndefinedLength);
  }
  return all;
}

// In UN, implicit VR stands inside (PS3.5 6.2.2 note 2).
inline std::string nested_in_un(bool is_defined) {
  const std::string inside = nested("", is_defined);
  return explicit_head(0x0008, 0x1115, "UN", is_defined ? inside.size() + 8 : kUndefinedLength) +
         item_head(is_defined ? inside.size() : kUndefinedLength) + inside;
}

// Refused for its structure, behind a good beginning.
inline Attack implicit_set(const std::string& name, const std::string& rest) {
  const std::string begin = small_data_set(kCtStorage, kAttacker);
  return {name, bytes(store_message(implicit_ct, begin + rest)), answered(0xC000)};
}
inline Attack explicit_set(const std::string& name, const std::string& rest) {
  return {name, bytes(store_message(explicit_ct, explicit_data_set() + rest)), answered(0xC000)};
}

inline std::vector<Attack> attacks_by_nesting() {
  return {
      implicit_set("NestedTenThousandDeep", nested("", false)),
      implicit_set("NestedTenThousandDeepWithLengths", nested("", true)),
      explicit_set("NestedTenThousandDeepExplicitly", nested("SQ", false)),
      explicit_set("NestedTenThousandDeepExplicitlyWithLengths", nested("SQ", true)),
      explicit_set("NestedTenThousandDeepInUn", nested_in_un(false)),
      explicit_set("NestedTenThousandDeepInUnWithLengths", nested_in_un(true)),
  };
}

inline std::vector<Attack> attacks_by_lengths() {
  const std::string padding(500, ' ');
  return {
      implicit_set("ElementOf4Gigabytes", implicit_head(0x0029, 0x1010, 0xFFFFFFFEU) + padding),
      explicit_set("ElementOf4GigabytesExplicitly",
                   explicit_head(0x0029, 0x1010, "OB", 0xFFFFFFFEU) + padding),
      explicit_set("UnOf4Gigabytes", explicit_head(0x0029, 0x1010, "UN", 0xFFFFFFFEU) + padding),
      explicit_set("UnlimitedTextOf4Gigabytes",
                   explicit_head(0x0040, 0xA160, "UT", 0xFFFFFFFEU) + padding),
      explicit_set("SequenceOf4Gigabytes",
                   explicit_head(0x0040, 0xA730, "SQ", 0xFFFFFFFEU) + item_head(8)),
      implicit_set("ItemOf4Gigabytes",
                   implicit_head(0x0040, 0xA730, kUndefinedLength) + item_head(0xFFFFFFFEU)),
      explicit_set("PixelDataOf4Gigabytes",
                   explicit_head(0x7FE0, 0x0010, "OW", 0xFFFFFFFEU) + padding),
      explicit_set("FragmentOf4Gigabytes", explicit_head(0x7FE0, 0x0010, "OB", kUndefinedLength) +
                                               item_head(0) + item_head(0xFFFFFFFEU) + padding),
      implicit_set("NegativeLength", implicit_head(0x0029, 0x1010, 0xFFFFFF00U) + padding),
      implicit_set("LongestPositiveLength", implicit_head(0x0029, 0x1010, 0x7FFFFFFFU) + padding),
      implicit_set("OddLengthBeyondTheEnd", implicit_head(0x0029, 0x1010, 501) + padding),
      explicit_set("OddLengthIntoTheNextElement", explicit_head(0x0029, 0x1010, "LO", 3) + "AB" +
                                                      explicit_element(0x0029, 0x1011, "LO", "AB")),
  };
}

inline std::vector<Attack> attacks_by_structure() {
  const std::string padding(500, ' ');
  return {
      implicit_set("ItemLongerThanItsSequence",
                   implicit_head(0x0040, 0xA730, 16) + item_head(100) + padding),
      implicit_set("ElementLongerThanItsItem", implicit_head(0x0040, 0xA730, 24) + item_head(16) +
                                                   implicit_head(0x0008, 0x0100, 100) + padding),
      implicit_set("SequenceLongerThanItsItem", implicit_head(0x0040, 0xA730, 24) + item_head(16) +
                                                    implicit_head(0x0040, 0xA730, 100) +
                                                    item_head(8) + padding),
      implicit_set("ElementHeadAcrossTheEndOfItsItem",
                   implicit_head(0x0040, 0xA730, 12) + item_head(4) + padding),
      explicit_set("UndefinedLengthOfText",
                   explicit_head(0x0040, 0xA160, "UT", kUndefinedLength) + padding),
      explicit_set("NoVr", little16(0x0029) + little16(0x1010) + little32(4) + "ABCD"),
      implicit_set("SequenceWithoutItems", implicit_head(0x0040, 0xA730, 8) + padding),
      implicit_set("SequenceWithoutItsEnd", implicit_head(0x0040, 0xA730, kUndefinedLength)),
      implicit_set("DelimiterInNoSequence", implicit_head(0xFFFE, 0xE0DD, 0)),
      implicit_set("CutInsideAHead", "\x29"),
      implicit_set("CutInsideAValue", implicit_head(0x0029, 0x1010, 10) + "1234"),
      implicit_set("CommandElementInside", implicit_head(0x0000, 0x1000, 4) + "1.2 "),
      implicit_set("MetaElementInside", implicit_head(0x0002, 0x0010, 4) + "1.2 "),
      implicit_set("IdentifiersBehindThePixelData", implicit_head(0x7FE0, 0x0010, 4) + "abcd" +
                                                        implicit_head(0x0020, 0x000D, 4) + "1.9 "),
      {"EmptyDataSet", bytes(store_message(implicit_ct, "")), answered(0xA900)},
      {"Noise", bytes(store_message(explicit_ct, std::string(5'000, '\xA5'))), answered(0xC000)},
  };
}

// What inflates to more than an instance may have, in pixel data; and in a header, of
// which every value would be kept in memory.
inline std::vector<Attack> attacks_by_deflation() {
  constexpr std::size_t kGrown = 4 * kMaxInstanceSize;
  const std::string pixels = explicit_data_set() + explicit_head(0x7FE0, 0x0010, "OW", kGrown);
  std::string header = explicit_data_set();
  for (std::size_t i = 0; header.size() < kMaxInstanceSize - 20'000; ++i) {
    header += explicit_element(0x0029 + 2 * (i / 0xEF00), 0x1000 + i % 0xEF00, "LT",
                               std::string(10'000, ' '));
  }
  const std::string whole = deflated(explicit_data_set(), 0, '\0');
  return {
      {"DeflateBomb", bytes(store_message(deflated_ct, deflated(pixels, kGrown, '\0'))),
       answered(0xC000)},
      {"DeflateBombOfValues", bytes(store_message(deflated_ct, deflated(header, 0, '\0'))),
       answered(0xC000)},
      {"DeflateStreamThatIsCut",
       bytes(store_message(deflated_ct, whole.substr(0, whole.size() / 2))), answered(0xC000)},
      {"DeflateStreamWithMoreBehind",
       bytes(store_message(deflated_ct, whole + explicit_data_set())), answered(0xC000)},
      {"NoDeflateStream", bytes(store_message(deflated_ct, explicit_data_set())), answered(0xC000)},
  };
}

// A C-STORE whose parts do not fit together, or whose words are weapons.
inline std::vector<Attack> attacks_by_identity() {
  const auto uid = [](const std::string& name, const std::string& value) {
    return Attack{name, bytes(store_message(explicit_ct, explicit_data_set(value), value)),
                  answered(0)};
  };
  const std::string data = explicit_data_set();
  const std::string too_large = small_data_set(kCtStorage, kAttacker) +
                                implicit_head(0x7FE0, 0x0010, kMaxInstanceSize) +
                                std::string(kMaxInstanceSize, '\0');
  const auto speak = [data](const RawPeer& peer) {
    RequestParts parts = attacked_association();
    parts.calling = "CT\x1B[2J\r\nlevel=1";
    parts.called = std::string("\x07\x7F\xFF\"\\../..", 10);
    peer.send(parts.bytes());
    EXPECT_EQ(peer.receive_pdu().substr(0, 1), "\2");
    peer.send(store_message(explicit_ct, data));
  };
  return {
      {"AeTitlesWithControlCharacters", speak, answered(0), false},
      {"InstanceUidUnlikeTheCommands", bytes(store_message(explicit_ct, data, "1.2.3.667")),
       answered(0xA900)},
      {"ClassUidUnlikeTheCommands", bytes(store_message(explicit_ct, data, kAttacker, kMrStorage)),
       answered(0xA900)},
      // Taken: its class is the data set's, whatever the context was negotiated for.
      {"ClassUidUnlikeTheContext",
       bytes(store_message(implicit_ct, small_data_set(kMrStorage, kAttacker), kAttacker,
                           kMrStorage)),
       answered(0)},
      {"SecondInstanceUid",
       bytes(
           store_message(explicit_ct, data + explicit_element(0x0008, 0x0018, "UI", "1.2.3.667"))),
       answered(0xA900)},
      {"NoInstanceUid",
       bytes(store_message(explicit_ct, explicit_element(0x0008, 0x0016, "UI", kCtStorage))),
       answered(0xA900)},
      {"OversizedInstance", bytes(store_message(implicit_ct, too_large)), answered(0xA700)},
      uid("UidThatClimbs", "../../../../../../tmp/sluice-was-here"),
      uid("UidThatIsAPath", "/tmp/sluice-was-here"),
      uid("UidWithNulInside", std::string("1.2\0"
                                          "/../3",
                                          8)),
      uid("UidWithControlCharacters", "1.2\x1B[2J\r\nlevel=error \x07\x7F"),
      uid("UidOfThousandsOfCharacters", std::string(5'000, '1')),
      uid("UidOfDots", ".."),
      {"StoreOnTheVerificationContext",
       bytes(store_message(verification, small_data_set(kCtStorage, kAttacker))), answered(0x0122)},
      {"StoreWithoutInstanceUid", bytes(store_message(explicit_ct, data, "")), answered(0xC000)},
  };
}

// Against PS3.5 7.1; what it gets is configured.
inline std::vector<Attack> attacks_by_irregular_tags(const Answer& answer) {
  const std::string data = explicit_data_set();
  const std::string seven = explicit_element(0x0020, 0x0011, "IS", "7");
  return {
      {"TagsOutOfOrder", bytes(store_message(explicit_ct, seven + data)), answer},
      {"TagTwice",
       bytes(
           store_message(explicit_ct, data + seven + explicit_element(0x0020, 0x0011, "IS", "8"))),
       answer},
  };
}

}  // namespace sluice::test
