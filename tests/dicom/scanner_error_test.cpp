// Data sets that break the rules, and the limits on those that do not.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "gateway/dicom/deflate.h"
#include "tests/dicom/data_set_bytes.h"

namespace sluice::dicom {
namespace {

using test::Bytes;
using test::Form;
using test::scan_text;
using testing::HasSubstr;

constexpr Tag kSequence{0x0008, 0x1110};
constexpr Tag kRowsElement{0x0028, 0x0010};
constexpr Tag kNameElement{0x0010, 0x0010};

class EveryFormErrors : public testing::TestWithParam<Form> {
 public:
  // Refused as corrupt, at once and byte by byte, with the same message; returns it.
  static std::string refusal(const std::string& data, const ScanLimits& limits = {}) {
    const auto syntax = test::syntax_of(GetParam());
    const auto whole = scan_text(data, syntax, limits);
    const auto pieces = test::scan_pieces(
        data, syntax, [] { return 1U; }, limits);
    EXPECT_FALSE(whole);
    EXPECT_FALSE(pieces);
    if (whole || pieces) return "taken";
    EXPECT_EQ(whole.error().code, ErrorCode::corrupt);
    EXPECT_EQ(whole.error().message, pieces.error().message);
    return whole.error().message;
  }

  Bytes bytes{GetParam()};
};

INSTANTIATE_TEST_SUITE_P(Scanner, EveryFormErrors, testing::ValuesIn(test::kForms));

TEST_P(EveryFormErrors, RefusesLengthsThatDoNotFit) {
  const std::string too_long = bytes.head(kRowsElement, "US", 4) + "ab";
  EXPECT_EQ(refusal(bytes.sequence(kSequence, bytes.item(too_long)) + std::string(32, 'x')),
            "(0028,0010) at byte " + std::to_string(bytes.head(kSequence, "SQ", 0).size() + 8) +
                ": value of 4 bytes does not fit the 2 bytes left of the item at byte " +
                std::to_string(bytes.head(kSequence, "SQ", 0).size()));
  refusal(bytes.sequence(kSequence, bytes.head(tags::kItem, "", 100) + "12") +
          std::string(200, 'x'));
  // A sequence longer than the item it is in.
  refusal(bytes.sequence(kSequence, bytes.item(bytes.head(kSequence, "SQ", 9999))) +
          std::string(10000, 'x'));
}

TEST_P(EveryFormErrors, RefusesRestsThatAreNoElement) {
  EXPECT_THAT(refusal(bytes.sequence(kSequence, bytes.item("1234567")) + std::string(8, 'x')),
              HasSubstr("7 bytes left over at the end of the item"));
  EXPECT_THAT(refusal(bytes.sequence(kSequence, bytes.item("") + "1") + std::string(8, 'x')),
              HasSubstr("1 byte left over at the end of the sequence (0008,1110)"));
}

TEST_P(EveryFormErrors, RefusesStrayDelimiters) {
  const std::string plain = bytes.element(kRowsElement, "US", "ab");
  EXPECT_THAT(refusal(plain + bytes.item_end()),
              HasSubstr("an item delimiter where none may stand"));
  EXPECT_THAT(refusal(bytes.sequence_end()), HasSubstr("(FFFE,E0DD) at byte 0"));
  const std::string sequence = bytes.head(kSequence, "SQ", test::kUndefined);
  const std::string item = bytes.head(tags::kItem, "", test::kUndefined);
  refusal(sequence + bytes.item_end());
  refusal(sequence + item + bytes.sequence_end());
  refusal(sequence + item + bytes.item_end() + bytes.item_end());
  refusal(sequence + bytes.head({0xFFFE, 0xE0DD}, "", 2) + "ab");
  // In the middle of what has a length.
  refusal(bytes.sequence(kSequence, bytes.item(bytes.item_end() + plain)));
  refusal(bytes.sequence(kSequence, bytes.sequence_end() + bytes.item("")));
}

TEST_P(EveryFormErrors, RefusesItemsAndElementsInTheWrongPlace) {
  const std::string plain = bytes.element(kRowsElement, "US", "ab");
  EXPECT_EQ(refusal(bytes.item(plain)),
            "(FFFE,E000) at byte 0: an item where none may stand, in the data set");
  refusal(bytes.sequence(kSequence, bytes.item(bytes.item(plain))));
  EXPECT_THAT(refusal(bytes.sequence(kSequence, plain)),
              HasSubstr("an item was to come in the sequence (0008,1110)"));
  refusal(bytes.element({0xFFFE, 0x0001}, "UN", "ab"));
}

TEST_P(EveryFormErrors, RefusesWhatEndsWithoutItsDelimiter) {
  const std::string open_item = bytes.head(tags::kItem, "", test::kUndefined);
  const std::string open_sequence = bytes.head(kSequence, "SQ", test::kUndefined);
  const std::string plain = bytes.element(kRowsElement, "US", "ab");
  refusal(bytes.sequence(kSequence, open_item + plain) + plain);
  refusal(bytes.sequence(kSequence, bytes.item(open_sequence)) + plain);
  refusal(open_sequence);
  refusal(open_sequence + open_item + plain + bytes.item_end());
  EXPECT_THAT(refusal(bytes.sequence(kSequence, open_item)), HasSubstr("inside the item at byte"));
}

TEST_P(EveryFormErrors, RefusesCommandAndMetaElements) {
  EXPECT_THAT(refusal(bytes.element({0x0000, 0x0100}, "US", "ab")), HasSubstr("inside a data set"));
  refusal(bytes.element({0x0002, 0x0010}, "UI", "1.2."));
  refusal(bytes.element(tags::kPixelData, "OW", "ab") +
          bytes.element({0x0002, 0x0010}, "UI", "1.2."));
}

TEST_P(EveryFormErrors, RefusesAFourGigabyteElementInAnOrdinaryDataSet) {
  for (const std::uint32_t length : {0xFFFFFFFEU, 0xFFFFFFF0U, 0x80000000U, 0x7FFFFFFFU}) {
    const std::string data = bytes.head({0x0028, 0x1201}, "OW", length) + std::string(1000, 'x');
    EXPECT_THAT(refusal(data), HasSubstr("before the end of the value"));
    refusal(bytes.sequence(kSequence, bytes.item(data)));
    refusal(bytes.head(kSequence, "SQ", length) + bytes.head(tags::kItem, "", length) + data);
  }
}

TEST_P(EveryFormErrors, RefusesUndefinedLengthOfPlainElements) {
  EXPECT_THAT(refusal(bytes.head({0x0040, 0xA160}, "UT", test::kUndefined) + bytes.sequence_end()),
              HasSubstr("undefined length with VR UT"));
}

// Sequences in sequences, closed where they are of defined length.
std::string nested(const Bytes& bytes, Tag tag, const std::string& vr, int depth, bool undefined) {
  std::string data;
  if (undefined) {
    const std::string open =
        bytes.head(tag, vr, test::kUndefined) + bytes.head(tags::kItem, "", test::kUndefined);
    for (int i = 0; i < depth; ++i) data += open;
    for (int i = 0; i < depth; ++i) data += bytes.item_end() + bytes.sequence_end();
    return data;
  }
  for (int i = 0; i < depth; ++i) data = bytes.sequence(tag, bytes.item(data), false, vr);
  return data;
}

TEST_P(EveryFormErrors, RefusesSequencesNestedDeeperThanTheLimit) {
  for (const bool undefined : {false, true}) {
    EXPECT_TRUE(scan_text(nested(bytes, kSequence, "SQ", 64, undefined), GetParam()));
    EXPECT_THAT(refusal(nested(bytes, kSequence, "SQ", 65, undefined)),
                HasSubstr("nested more than 64 deep"));
    refusal(nested(bytes, kSequence, "SQ", 10'000, undefined));
  }
}

TEST_P(EveryFormErrors, NeverNestsDeeperThanElementsCanTell) {
  ScanLimits limits;
  limits.depth = 100'000;
  EXPECT_THAT(refusal(nested(bytes, kSequence, "SQ", 10'000, true), limits),
              HasSubstr("more than 120 deep"));
  const auto deep = scan_text(nested(bytes, kSequence, "SQ", 120, true), GetParam(), limits);
  ASSERT_TRUE(deep) << deep.error().message;
  EXPECT_EQ(deep->elements().back().depth, 239);
}

TEST_P(EveryFormErrors, RefusesUnNestedDeeperThanTheLimit) {
  const Bytes inside{Form::implicit_le};
  for (const bool undefined : {false, true}) {
    const std::string value = inside.item(nested(inside, kSequence, "UN", 10'000, undefined));
    // In implicit form the VR is the dictionary's, so these are plain sequences.
    const std::string message =
        refusal(undefined ? bytes.head({0x0008, 0x1115}, "UN", test::kUndefined) + value
                          : bytes.element({0x0008, 0x1115}, "UN", value));
    EXPECT_NE(message.find("nested more than 64 deep"), std::string::npos) << message;
  }
}

TEST_P(EveryFormErrors, RefusesMoreElementsThanTheLimit) {
  ScanLimits limits;
  limits.elements = 3;
  const std::string plain = bytes.element(kRowsElement, "US", "ab");
  EXPECT_TRUE(scan_text(plain + plain + plain, GetParam(), limits));
  EXPECT_THAT(refusal(plain + plain + plain + plain, limits), HasSubstr("more than 3 elements"));
  refusal(bytes.sequence(kSequence, bytes.item(plain + plain)), limits);
}

TEST_P(EveryFormErrors, RefusesMoreValuesThanTheLimit) {
  ScanLimits limits;
  limits.retained_total = 100;
  const std::string name = bytes.element(kNameElement, "PN", std::string(50, 'n'));
  EXPECT_TRUE(scan_text(name + name, GetParam(), limits));
  EXPECT_THAT(refusal(name + name + name, limits), HasSubstr("more than 100 bytes"));
  EXPECT_TRUE(scan_text(name + bytes.element(tags::kPixelData, "OW", std::string(5000, 'x')),
                        GetParam(), limits));
}

TEST(ScannerErrors, RefusesMoreThanAMebibyteOfUids) {
  const Bytes bytes{Form::implicit_le};
  const auto uids = [&](std::size_t size) {
    return bytes.element(tags::kReferencedSopInstanceUid, "UI", std::string(size, '1'));
  };
  const auto kept = scan_text(uids(1U << 20U), Form::implicit_le);
  ASSERT_TRUE(kept);
  EXPECT_TRUE(kept->value(0));
  EXPECT_FALSE(scan_text(uids((1U << 20U) + 2), Form::implicit_le));
}

TEST(ScannerErrors, RefusesVrsThatAreNotTwoCapitals) {
  const Bytes bytes;
  for (const char* vr : {"us", "U1", "\x01\x02", "-A"}) {
    const auto header =
        scan_text(bytes.tag(kRowsElement) + vr + bytes.number_16(2) + "ab", Form::explicit_le);
    ASSERT_FALSE(header) << vr;
    EXPECT_EQ(header.error().message,
              "(0028,0010) at byte 0: no VR of two capital letters; the data set is not in "
              "explicit VR, or an "
              "element before has a wrong length");
  }
}

TEST(ScannerErrors, RefusesWhatStandsBehindThePixelDataAndBelongsBeforeIt) {
  const Bytes bytes{Form::explicit_le};
  const std::string pixels = bytes.element(tags::kPixelData, "OB", "12");
  const auto hidden = scan_text(pixels + bytes.element(tags::kStudyInstanceUid, "UI", "1.2.3.4."),
                                Form::explicit_le);
  ASSERT_FALSE(hidden);
  EXPECT_NE(hidden.error().message.find("(0020,000D) at byte 14"), std::string::npos)
      << hidden.error().message;
}

TEST(ScannerErrors, StaysFailed) {
  const Bytes bytes;
  Scanner scanner(test::syntax_of(Form::explicit_le), {});
  const auto first = scanner.feed(test::as_bytes(bytes.item_end()));
  ASSERT_FALSE(first);
  const auto second = scanner.feed(test::as_bytes(bytes.element(kRowsElement, "US", "ab")));
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().message, first.error().message);
  EXPECT_FALSE(scanner.finish());
  EXPECT_FALSE(scanner.finish_header());
}

TEST_P(EveryFormErrors, TakesACutDataSetOnlyWhereAnElementEnds) {
  const Bytes implicit{Form::implicit_le};
  const std::string first = bytes.element({0x0008, 0x0005}, "CS", "ISO_IR 100");
  const std::string inner =
      bytes.item(bytes.element(tags::kReferencedSopInstanceUid, "UI", "1.2.3.45"));
  const std::string defined =
      bytes.sequence(kSequence, inner + bytes.item(bytes.sequence(kSequence, inner)));
  const std::string undefined =
      bytes.sequence({0x0008, 0x1115}, bytes.item(inner.substr(8), true), true);
  const std::string as_un =
      bytes.element({0x0008, 0x1120}, "UN",
                    implicit.item(implicit.element(kRowsElement, "US", "ab")) + implicit.item(""));
  const std::string odd = bytes.element(kNameElement, "PN", "odd");
  const std::string pixels = bytes.element(tags::kPixelData, "OW", "12345678");
  std::string data;
  std::vector<std::size_t> ends = {0};
  for (const auto& part : {first, defined, undefined, as_un, odd, pixels}) {
    data += part;
    ends.push_back(data.size());
  }
  for (std::size_t size = 0; size <= data.size(); ++size) {
    const auto header = scan_text(data.substr(0, size), GetParam());
    EXPECT_EQ(header.has_value(), std::ranges::find(ends, size) != ends.end()) << "cut at " << size;
    EXPECT_TRUE(header || header.error().code == ErrorCode::corrupt);
  }
}

std::string deflated_whole(const std::string& data) {
  Deflater deflater;
  std::string out;
  EXPECT_TRUE(deflater.deflate(test::as_bytes(data), true, out));
  return out;
}

class DeflatedScanner : public testing::Test {
 public:
  Bytes bytes;
  TransferSyntax syntax = transfer_syntax(kDeflatedExplicitVrLittleEndian);
};

TEST_F(DeflatedScanner, CountsOffsetsBehindInflation) {
  const std::string data = bytes.element(kNameElement, "PN", std::string(5000, 'n')) +
                           bytes.element(kRowsElement, "US", "ab") +
                           bytes.element(tags::kPixelData, "OW", "12");
  const std::string stream = deflated_whole(data);
  ASSERT_LT(stream.size(), 200U);
  const auto plain = scan_text(data, Form::explicit_le);
  ASSERT_TRUE(plain);
  for (std::size_t size = 1; size <= stream.size(); ++size) {
    const auto header = test::scan_pieces(stream, syntax, [=] { return size; });
    ASSERT_TRUE(header) << header.error().message;
    EXPECT_EQ(test::difference(*plain, *header), "");
  }
}

TEST_F(DeflatedScanner, RefusesACutStream) {
  const std::string stream = deflated_whole(bytes.element(kNameElement, "PN", "Test^Name "));
  const std::size_t padded = stream.back() == '\0' ? 1 : 0;
  for (std::size_t size = 0; size + padded < stream.size(); ++size) {
    const auto header = scan_text(stream.substr(0, size), syntax);
    ASSERT_FALSE(header) << "cut at " << size;
    EXPECT_EQ(header.error().code, ErrorCode::corrupt);
    EXPECT_EQ(header.error().message, "the deflated data set ends before the end of its stream");
  }
}

TEST_F(DeflatedScanner, RefusesADataSetCutBeforeItWasDeflated) {
  EXPECT_FALSE(scan_text(deflated_whole(bytes.head(kNameElement, "PN", 10) + "Test"), syntax));
}

TEST_F(DeflatedScanner, RefusesABomb) {
  const std::string stream =
      deflated_whole(bytes.element(tags::kPixelData, "OB", std::string(8U << 20U, '\0')));
  ASSERT_LT(stream.size(), 20'000U);
  EXPECT_TRUE(scan_text(stream, syntax)) << "as dense as zlib can make it";
  ScanLimits small;
  small.inflated = 4U << 20U;
  const auto too_much = scan_text(stream, syntax, small);
  ASSERT_FALSE(too_much);
  EXPECT_EQ(too_much.error().code, ErrorCode::corrupt);
  ScanLimits dense;
  dense.inflate_ratio = 100;
  EXPECT_FALSE(scan_text(stream, syntax, dense));
}

// Of a header every value is kept: what a black image may do, text may not.
TEST_F(DeflatedScanner, RefusesABombOfValuesWhereItIsTold) {
  std::string data;
  for (std::uint16_t number = 0x1000; number < 0x1200; ++number) {
    data += bytes.element({0x0029, number}, "LT", std::string(10'000, ' '));
  }
  const std::string stream = deflated_whole(data);
  ASSERT_LT(stream.size(), data.size() / 200);
  ScanLimits limits;
  EXPECT_TRUE(scan_text(stream, syntax, limits));
  limits.header_inflate_ratio = 100;
  const auto header = scan_text(stream, syntax, limits);
  ASSERT_FALSE(header);
  EXPECT_EQ(header.error().code, ErrorCode::corrupt);
  EXPECT_NE(header.error().message.find("before its pixel data"), std::string::npos);
  const std::string image =
      deflated_whole(bytes.element(tags::kPixelData, "OB", std::string(8U << 20U, '\0')));
  EXPECT_TRUE(scan_text(image, syntax, limits));
}

TEST_F(DeflatedScanner, RefusesWhatIsNotDeflated) {
  const auto header = scan_text(std::string(64, '\xFF'), syntax);
  ASSERT_FALSE(header);
  EXPECT_NE(header.error().message.find("cannot inflate the data set"), std::string::npos);
}

}  // namespace
}  // namespace sluice::dicom
