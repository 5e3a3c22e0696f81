// The index of data sets that are right.
#include <gtest/gtest.h>

#include "tests/dicom/data_set_bytes.h"

namespace sluice::dicom {
namespace {

using test::Bytes;
using test::Form;
using test::scan_text;

constexpr Tag kReferencedStudySequence{0x0008, 0x1110};
constexpr Tag kReferencedSopClassUid{0x0008, 0x1150};
constexpr Tag kPatientName{0x0010, 0x0010};
constexpr Tag kRows{0x0028, 0x0010};
constexpr Tag kIconImageSequence{0x0088, 0x0200};

class EveryForm : public testing::TestWithParam<Form> {
 public:
  Bytes bytes{GetParam()};
};

INSTANTIATE_TEST_SUITE_P(Scanner, EveryForm, testing::ValuesIn(test::kForms));

TEST_P(EveryForm, TellsTagVrPlaceAndLengthOfPlainElements) {
  const std::string first = bytes.element(kPatientName, "PN", "Test^Name ");
  const std::string second = bytes.element(kRows, "US", bytes.number_16(512));
  const auto header = scan_text(first + second, GetParam());
  ASSERT_TRUE(header) << header.error().message;
  ASSERT_EQ(header->elements().size(), 2U);
  const Element& name = (*header)[0];
  EXPECT_EQ(name.tag, kPatientName);
  EXPECT_EQ(name.vr, Vr::PN);
  EXPECT_EQ(name.depth, 0);
  EXPECT_EQ(name.header_length, 8);
  EXPECT_EQ(name.implicit_vr, GetParam() == Form::implicit_le);
  EXPECT_EQ(name.length, 10U);
  EXPECT_EQ(name.parent, kRoot);
  EXPECT_EQ(name.offset, 0U);
  EXPECT_EQ(name.value_offset(), 8U);
  EXPECT_EQ(name.end, first.size());
  EXPECT_EQ((*header)[1].vr, Vr::US);
  EXPECT_EQ((*header)[1].offset, first.size());
  EXPECT_EQ(header->value(0), "Test^Name ");
  EXPECT_EQ(header->value(1), bytes.number_16(512));
  EXPECT_EQ(header->is_big_endian(1), GetParam() == Form::explicit_be);
  EXPECT_EQ(header->length(), first.size() + second.size());
  EXPECT_FALSE(header->is_unordered());
  EXPECT_EQ(header->find(kRows), 1U);
  EXPECT_FALSE(header->find(tags::kModality));
}

TEST_P(EveryForm, IndexesSequencesOfEveryLengthForm) {
  for (const bool undefined_sequence : {false, true}) {
    for (const bool undefined_item : {false, true}) {
      const std::string inner = bytes.sequence(
          kReferencedStudySequence,
          bytes.item(bytes.element(tags::kReferencedSopInstanceUid, "UI", "1.2.3.45"),
                     undefined_item) +
              bytes.item("", undefined_item),
          undefined_sequence);
      const std::string outer =
          bytes.sequence(kIconImageSequence, bytes.item(inner, undefined_item), undefined_sequence);
      const std::string behind = bytes.element({0x0088, 0x0906}, "ST", "ab");
      const std::string data = outer + behind;
      const auto header = scan_text(data, GetParam());
      ASSERT_TRUE(header) << header.error().message;
      ASSERT_EQ(header->elements().size(), 7U);
      EXPECT_TRUE((*header)[0].is_sequence());
      EXPECT_EQ((*header)[0].end, outer.size());
      EXPECT_EQ((*header)[0].length == kUndefinedLength, undefined_sequence);
      EXPECT_TRUE((*header)[1].is_item());
      EXPECT_EQ((*header)[1].vr, Vr::UN);
      EXPECT_EQ((*header)[1].depth, 1);
      EXPECT_EQ((*header)[1].parent, 0U);
      EXPECT_EQ((*header)[2].tag, kReferencedStudySequence);
      EXPECT_EQ((*header)[2].depth, 2);
      EXPECT_EQ((*header)[2].end - (*header)[2].offset, inner.size());
      EXPECT_EQ((*header)[4].parent, 3U);
      EXPECT_EQ(header->value(4), "1.2.3.45");
      EXPECT_FALSE(header->value(0));
      EXPECT_FALSE(header->value(1));
      EXPECT_EQ((*header)[5].parent, 2U);
      EXPECT_EQ((*header)[6].offset, outer.size());
      EXPECT_EQ(header->after(0), 6U);
      EXPECT_EQ(header->after(1), 6U);
      EXPECT_EQ(header->after(3), 5U);
      EXPECT_EQ(header->after(4), 5U);
      EXPECT_EQ(header->after(6), 7U);
      EXPECT_EQ(header->find(tags::kReferencedSopInstanceUid, 3), 4U);
      EXPECT_FALSE(header->find(tags::kReferencedSopInstanceUid, 5));
      EXPECT_FALSE(header->find(tags::kReferencedSopInstanceUid));
      EXPECT_EQ(header->path(4),
                "IconImageSequence[0].ReferencedStudySequence[0].ReferencedSOPInstanceUID");
      EXPECT_EQ(header->path(5), "IconImageSequence[0].ReferencedStudySequence[1]");
    }
  }
}

TEST_P(EveryForm, EndsTheHeaderAtPixelDataAndChecksWhatIsBehind) {
  const std::string before = bytes.element(kRows, "US", bytes.number_16(2));
  for (const Tag pixels : {tags::kPixelData, tags::kFloatPixelData, tags::kDoubleFloatPixelData}) {
    const std::string vr = pixels == tags::kPixelData        ? "OW"
                           : pixels == tags::kFloatPixelData ? "OF"
                                                             : "OD";
    const std::string data = before + bytes.element(pixels, vr, std::string(64, 'x')) +
                             bytes.element({0xFFFC, 0xFFFC}, "OB", std::string(4, '\0'));
    const auto header = scan_text(data, GetParam());
    ASSERT_TRUE(header) << header.error().message;
    EXPECT_EQ(header->elements().size(), 1U);
    EXPECT_EQ(header->length(), before.size());
    EXPECT_FALSE(scan_text(data.substr(0, data.size() - 1), GetParam()));
    EXPECT_FALSE(scan_text(data + bytes.sequence_end(), GetParam()));
  }
}

TEST_P(EveryForm, TellsWhenTheHeaderIsComplete) {
  const std::string before = bytes.element(kRows, "US", bytes.number_16(2));
  const std::string pixels = bytes.element(tags::kPixelData, "OW", std::string(64, 'x'));
  Scanner scanner(test::syntax_of(GetParam()), {});
  ASSERT_TRUE(scanner.feed(test::as_bytes(before)));
  EXPECT_FALSE(scanner.header_complete());
  const auto early = scanner.finish_header();
  ASSERT_FALSE(early);
  EXPECT_EQ(early.error().code, ErrorCode::corrupt);
  ASSERT_TRUE(scanner.feed(test::as_bytes(pixels.substr(0, 20))));
  EXPECT_TRUE(scanner.header_complete());
  const auto header = scanner.finish_header();
  ASSERT_TRUE(header) << header.error().message;
  EXPECT_EQ(header->elements().size(), 1U);
  EXPECT_EQ(header->length(), before.size());
  // The structure of the rest is checked all the same.
  ASSERT_TRUE(scanner.feed(test::as_bytes(pixels.substr(20))));
  EXPECT_FALSE(scanner.feed(test::as_bytes(bytes.item_end())));
}

TEST(Scanner, TakesEncapsulatedPixelDataForFragments) {
  const Bytes bytes;
  const auto syntax = transfer_syntax("1.2.840.10008.1.2.4.70");
  const std::string fragments = bytes.head(tags::kPixelData, "OB", test::kUndefined) +
                                bytes.item("") +
                                bytes.item(std::string("\xFE\xFF\xDD\xE0\0\0\0\0", 8)) +
                                bytes.item("abc") + bytes.sequence_end();
  const std::string behind = bytes.element({0xFFFC, 0xFFFC}, "OB", "12");
  const auto header = scan_text(fragments + behind, syntax);
  ASSERT_TRUE(header) << header.error().message;
  EXPECT_TRUE(header->elements().empty());
  EXPECT_EQ(header->length(), 0U);
  const std::string open = fragments.substr(0, fragments.size() - 8);
  EXPECT_FALSE(scan_text(open, syntax)) << "no end";
  EXPECT_FALSE(scan_text(open + bytes.item_end(), syntax)) << "the end of an item";
  EXPECT_FALSE(scan_text(open + bytes.element(kRows, "US", "ab"), syntax)) << "an element between";
  EXPECT_FALSE(scan_text(open + bytes.head(tags::kItem, "", test::kUndefined), syntax));
}

TEST(Scanner, TakesNestedEncapsulatedPixelDataForAPartOfTheHeader) {
  const Bytes bytes;
  const std::string icon = bytes.head(tags::kPixelData, "OB", test::kUndefined) + bytes.item("") +
                           bytes.item("abcd") + bytes.sequence_end();
  for (const bool undefined : {false, true}) {
    const std::string sequence =
        bytes.sequence(kIconImageSequence,
                       bytes.item(bytes.element(kRows, "US", "ab") + icon, undefined), undefined);
    const std::string pixels = bytes.element(tags::kPixelData, "OW", "12");
    const auto header = scan_text(sequence + pixels, transfer_syntax("1.2.840.10008.1.2.4.70"));
    ASSERT_TRUE(header) << header.error().message;
    EXPECT_EQ(header->length(), sequence.size());
    const auto nested = header->find(tags::kPixelData, 1);
    ASSERT_TRUE(nested);
    EXPECT_EQ((*header)[*nested].length, kUndefinedLength);
    EXPECT_EQ((*header)[*nested].vr, Vr::OB);
    EXPECT_FALSE((*header)[*nested].is_sequence());
    EXPECT_EQ((*header)[*nested].end - (*header)[*nested].offset, icon.size());
    EXPECT_FALSE(header->value(*nested));
    EXPECT_EQ(header->after(*nested), *nested + 1) << "fragments are no entries";
  }
}

TEST(Scanner, ReadsUnOfUndefinedLengthAsImplicitSequence) {
  const Bytes implicit{Form::implicit_le};
  for (const Form form : {Form::explicit_le, Form::explicit_be}) {
    const Bytes bytes{form};
    const std::string inside =
        implicit.item(implicit.element(tags::kReferencedSopInstanceUid, "UI", "1.2.3.45"), true);
    // The delimiter is in the byte order of what is inside (PS3.5 6.2.2 note 4).
    const std::string data = bytes.head({0x0029, 0x1010}, "UN", test::kUndefined) + inside +
                             implicit.sequence_end() + bytes.element({0x0029, 0x1011}, "LO", "ab");
    const auto header = scan_text(data, form);
    ASSERT_TRUE(header) << header.error().message;
    ASSERT_EQ(header->elements().size(), 4U);
    EXPECT_EQ((*header)[0].vr, Vr::SQ);
    EXPECT_TRUE((*header)[0].written_as_un);
    EXPECT_FALSE((*header)[0].implicit_vr);
    EXPECT_TRUE((*header)[1].implicit_vr);
    EXPECT_EQ((*header)[2].vr, Vr::UI);
    EXPECT_TRUE((*header)[2].implicit_vr);
    EXPECT_FALSE(header->is_big_endian(2));
    EXPECT_FALSE((*header)[3].implicit_vr);
    EXPECT_EQ(header->path(2), "(0029,1010)[0].ReferencedSOPInstanceUID");
  }
}

TEST(Scanner, ReadsPrivateUndefinedLengthInImplicitAsSequence) {
  const Bytes bytes{Form::implicit_le};
  const auto header = scan_text(
      bytes.sequence({0x0029, 0x1010}, bytes.item(bytes.element(kPatientName, "PN", "ab")), true),
      Form::implicit_le);
  ASSERT_TRUE(header) << header.error().message;
  ASSERT_EQ(header->elements().size(), 3U);
  EXPECT_TRUE((*header)[0].is_sequence());
  EXPECT_FALSE((*header)[0].written_as_un);
}

TEST(Scanner, LooksIntoUnOfDefinedLengthThatTheDictionaryKnowsAsSequence) {
  const Bytes implicit{Form::implicit_le};
  const std::string value =
      implicit.item(implicit.element(tags::kReferencedSopInstanceUid, "UI", "1.2.3.45"));
  for (const Form form : {Form::explicit_le, Form::explicit_be}) {
    const Bytes bytes{form};
    const std::string data = bytes.element(kReferencedStudySequence, "UN", value) +
                             bytes.element(kPatientName, "PN", "ab");
    const auto header = scan_text(data, form);
    ASSERT_TRUE(header) << header.error().message;
    ASSERT_EQ(header->elements().size(), 4U);
    EXPECT_TRUE((*header)[0].is_sequence());
    EXPECT_TRUE((*header)[0].written_as_un);
    EXPECT_EQ(header->value(2), "1.2.3.45");
    for (std::size_t size = 1; size < data.size(); ++size) {
      const auto pieces = test::scan_pieces(data, test::syntax_of(form), [=] { return size; });
      ASSERT_TRUE(pieces) << pieces.error().message;
      EXPECT_EQ(test::difference(*header, *pieces), "") << "in pieces of " << size;
    }
  }
}

TEST(Scanner, LeavesUnAloneWhoseBytesAreNoSequence) {
  const Bytes bytes;
  const Bytes implicit{Form::implicit_le};
  const std::string behind = bytes.element(kPatientName, "PN", "ab");
  const std::string explicit_inside =
      bytes.item(bytes.element(kReferencedSopClassUid, "UI", "1.2.3.45"));
  const std::vector<std::string> values = {
      "12",
      std::string(8, 'x'),
      std::string(40, 'x'),
      explicit_inside,                                            // not implicit VR
      implicit.item(explicit_inside + "x"),                       // an item in an item
      implicit.item(implicit.element(kRows, "US", "ab")) + "12",  // a rest
      implicit.item(implicit.element(kRows, "US", "ab")) + std::string(12, 'x'),
      implicit.head(tags::kItem, "", 4000) + "12345678",  // longer than its value
      implicit.head(tags::kItem, "", test::kUndefined) + "12345678",
      implicit.item("") + implicit.item_end(),
      implicit.item(implicit.sequence(kReferencedStudySequence, implicit.item("123456789012"))),
  };
  for (const std::string& value : values) {
    const std::string data = bytes.element(kReferencedStudySequence, "UN", value) + behind;
    for (std::size_t size = 1; size <= data.size(); ++size) {
      const auto header =
          test::scan_pieces(data, test::syntax_of(Form::explicit_le), [=] { return size; });
      ASSERT_TRUE(header) << header.error().message;
      EXPECT_TRUE(scan_text(data.substr(0, data.size() - behind.size()), Form::explicit_le));
      ASSERT_EQ(header->elements().size(), 2U) << testing::PrintToString(value);
      const Element& element = (*header)[0];
      EXPECT_EQ(element.vr, Vr::UN);
      EXPECT_EQ(element.known_vr(), Vr::UN);
      EXPECT_FALSE(element.written_as_un);
      EXPECT_EQ(element.length, value.size());
      EXPECT_EQ(element.end, data.size() - behind.size());
      EXPECT_EQ(header->value(1), "ab");
    }
  }
}

TEST(Scanner, TakesEmptyUnThatTheDictionaryKnowsAsSequenceForOne) {
  const Bytes bytes;
  const auto header =
      scan_text(bytes.element(kReferencedStudySequence, "UN", ""), Form::explicit_le);
  ASSERT_TRUE(header) << header.error().message;
  ASSERT_EQ(header->elements().size(), 1U);
  EXPECT_TRUE((*header)[0].is_sequence());
  EXPECT_TRUE((*header)[0].written_as_un);
}

TEST(Scanner, KnowsTheVrOfUn) {
  const Bytes bytes;
  const auto header = scan_text(bytes.element(tags::kModality, "UN", "CT") +
                                    bytes.element(tags::kStudyInstanceUid, "UN", "1.2.3.4.") +
                                    bytes.element({0x0029, 0x1010}, "UN", "ab") +
                                    bytes.element({0x0029, 0x1011}, "ZZ", "ab"),
                                Form::explicit_le);
  ASSERT_TRUE(header) << header.error().message;
  EXPECT_EQ((*header)[0].vr, Vr::UN);
  EXPECT_EQ((*header)[0].known_vr(), Vr::CS);
  EXPECT_EQ((*header)[1].known_vr(), Vr::UI);
  EXPECT_EQ((*header)[2].known_vr(), Vr::UN);
  EXPECT_EQ(to_string((*header)[3].vr), "ZZ");
  EXPECT_EQ((*header)[3].header_length, 12) << "a VR to come has a 32-bit length";
}

TEST(Scanner, ValuesInUnAreLittleEndianInABigEndianDataSet) {
  const Bytes bytes{Form::explicit_be};
  const auto header =
      scan_text(bytes.element(kRows, "UN", "ab") + bytes.element({0x0028, 0x0011}, "US", "ab"),
                Form::explicit_be);
  ASSERT_TRUE(header) << header.error().message;
  EXPECT_FALSE(header->is_big_endian(0));
  EXPECT_TRUE(header->is_big_endian(1));
}

TEST_P(EveryForm, SeesTheFirstAndTheSecondOfTagsOutOfOrder) {
  const std::string study = bytes.element(tags::kStudyInstanceUid, "UI", "1.2.3.4.");
  const std::string modality = bytes.element(tags::kModality, "CS", "CT");
  const auto lower_behind = scan_text(study + modality, GetParam());
  ASSERT_TRUE(lower_behind);
  EXPECT_TRUE(lower_behind->is_unordered());
  EXPECT_EQ(lower_behind->find(tags::kModality), 1U);
  EXPECT_EQ(lower_behind->find(tags::kStudyInstanceUid), 0U);
  const auto twice = scan_text(modality + study + study, GetParam());
  ASSERT_TRUE(twice);
  EXPECT_TRUE(twice->is_unordered());
  EXPECT_EQ(twice->find(tags::kStudyInstanceUid), 1U);
  EXPECT_EQ(twice->elements().size(), 3U);
  EXPECT_FALSE(scan_text(modality + study, GetParam())->is_unordered());
}

TEST_P(EveryForm, NamesTagsThatComeTwiceOrOutOfOrder) {
  const auto irregular = [&](const std::vector<Tag>& order) {
    std::string text;
    for (const Tag tag : order) text += bytes.element(tag, "OW", "ab");
    const auto header = scan_text(text, GetParam());
    return header ? header->irregular_tags() : header.error().message;
  };
  const Tag low{0x0009, 0x1010};
  const Tag middle{0x0011, 0x1010};
  const Tag high{0x0013, 0x1010};
  const Tag behind{0xFFFC, 0xFFFC};
  EXPECT_EQ(irregular({low, middle, high, tags::kPixelData, behind}), "");
  EXPECT_EQ(irregular({low, middle, middle}), "(0011,1010) twice");
  EXPECT_EQ(irregular({low, middle, high, low}), "(0009,1010) twice");
  EXPECT_EQ(irregular({high, low, middle}), "(0009,1010) out of order");
  EXPECT_EQ(irregular({high, low, middle, middle}), "(0011,1010) twice; (0009,1010) out of order");
  EXPECT_EQ(irregular({low, low, low}), "(0009,1010) twice");
  EXPECT_EQ(irregular({low, tags::kPixelData, tags::kPixelData}), "(7FE0,0010) twice");
  EXPECT_EQ(irregular({low, tags::kPixelData, behind, tags::kPixelData}), "(7FE0,0010) twice");
  EXPECT_EQ(irregular({tags::kPixelData, behind, {0xFFFB, 0x1010}}), "(FFFB,1010) out of order");
}

TEST(Scanner, NamesTheFirstOfManyIrregularTags) {
  const Bytes bytes{Form::explicit_le};
  std::string text;
  for (int i = 0; i < 20; ++i) {
    const auto number = static_cast<std::uint16_t>(0x1000 + i);
    text += bytes.element({0x0009, number}, "LO", "ab") + bytes.element({0x0009, number}, "LO", "");
  }
  const auto header = scan_text(text, Form::explicit_le);
  ASSERT_TRUE(header);
  EXPECT_TRUE(header->irregular_tags().ends_with("(0009,1007) and 12 more twice"))
      << header->irregular_tags();
}

TEST_P(EveryForm, KeepsUidsAndShortValuesOnly) {
  ScanLimits limits;
  limits.retained_value = 10;
  const std::string uids = "1.2.3.4\\1.2.3.4.5";
  const auto header = scan_text(bytes.element(kReferencedSopClassUid, "UI", uids + " ") +
                                    bytes.element(kPatientName, "PN", "1234567890") +
                                    bytes.element({0x0010, 0x1000}, "LO", "123456789012"),
                                GetParam(), limits);
  ASSERT_TRUE(header) << header.error().message;
  EXPECT_EQ(header->value(0), uids + " ");
  EXPECT_EQ(header->value(1), "1234567890");
  EXPECT_FALSE(header->value(2));
}

TEST(Scanner, ReadsAnEmptyDataSet) {
  const auto header = scan_text("", Form::explicit_le);
  ASSERT_TRUE(header);
  EXPECT_TRUE(header->elements().empty());
  EXPECT_EQ(header->length(), 0U);
}

TEST(Scanner, TakesDelimitersAtTheEndOfWhatHasALength) {
  const Bytes bytes;
  const std::string item = bytes.item(bytes.element(kRows, "US", "ab") + bytes.item_end());
  const auto header = scan_text(
      bytes.sequence(kReferencedStudySequence, item + bytes.sequence_end()), Form::explicit_le);
  ASSERT_TRUE(header) << header.error().message;
  EXPECT_EQ(header->elements().size(), 3U);
}

}  // namespace
}  // namespace sluice::dicom
