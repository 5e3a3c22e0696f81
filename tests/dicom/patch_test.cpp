#include "gateway/dicom/patch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/dicom/data_set_bytes.h"

namespace sluice::dicom {
namespace {

using test::Bytes;
using test::Form;
using testing::HasSubstr;

constexpr Tag kGroupLength8{0x0008, 0x0000};
constexpr Tag kStudies{0x0008, 0x1110};
constexpr Tag kImages{0x0008, 0x1140};
constexpr Tag kName{0x0010, 0x0010};
constexpr Tag kRowsTag{0x0028, 0x0010};

// A data set, its header and a patch on it.
struct Edited {
  Edited(std::string data_set, Form form_of_it)
      : data(std::move(data_set)), form(form_of_it), header(scanned()), patch(header) {}

  [[nodiscard]] Header scanned() const {
    auto result = test::scan_text(data, form);
    if (!result) throw std::runtime_error(result.error().message);
    return *std::move(result);
  }
  [[nodiscard]] std::string bytes() const {
    const auto pieces = patch.render(data.size());
    if (!pieces) return pieces.error().message;
    for (std::size_t i = 1; i < pieces->size(); ++i) {
      const Piece& left = (*pieces)[i - 1];
      const Piece& right = (*pieces)[i];
      EXPECT_FALSE(left.is_new() && right.is_new()) << "could be one piece";
      EXPECT_FALSE(!left.is_new() && !right.is_new() && left.offset + left.length == right.offset);
    }
    std::string joined = test::joined(*pieces, data);
    const auto rescanned = test::scan_text(joined, form);
    EXPECT_TRUE(rescanned) << rescanned.error().message;
    return joined;
  }
  ElementIndex at(Tag tag, ElementIndex parent = kRoot) const {
    return header.find(tag, parent).value();
  }

  std::string data;
  Form form;
  Header header;
  Patch patch;
};

class EveryFormPatch : public testing::TestWithParam<Form> {
 public:
  [[nodiscard]] std::string uid(const std::string& value) const {
    return bytes.element(tags::kReferencedSopInstanceUid, "UI", value);
  }
  [[nodiscard]] std::string ul(Tag tag, std::uint32_t number) const {
    return bytes.element(tag, "UL", bytes.number_32(number));
  }

  Bytes bytes{GetParam()};
  std::string modality = bytes.element(tags::kModality, "CS", "CT");
  std::string name = bytes.element(kName, "PN", "Test^Name ");
  std::string rows = bytes.element(kRowsTag, "US", bytes.number_16(512));
  std::string pixels = bytes.element(tags::kPixelData, "OW", "12345678");
};

INSTANTIATE_TEST_SUITE_P(Patch, EveryFormPatch, testing::ValuesIn(test::kForms));

TEST_P(EveryFormPatch, EmptyLeavesOneRange) {
  const Edited edited(modality + name + pixels, GetParam());
  EXPECT_TRUE(edited.patch.empty());
  const auto pieces = edited.patch.render(edited.data.size());
  ASSERT_TRUE(pieces);
  ASSERT_EQ(pieces->size(), 1U);
  EXPECT_FALSE(pieces->front().is_new());
  EXPECT_EQ(pieces->front().length, edited.data.size());
}

TEST_P(EveryFormPatch, SetsWhatIsThere) {
  Edited edited(modality + name + rows + pixels, GetParam());
  ASSERT_TRUE(edited.patch.set(tags::kModality, "MRX"));
  ASSERT_TRUE(edited.patch.set(kRowsTag, "256"));
  EXPECT_FALSE(edited.patch.empty());
  EXPECT_EQ(edited.patch.value(tags::kModality), "MRX ");
  EXPECT_EQ(edited.patch.text(tags::kModality), "MRX");
  EXPECT_EQ(edited.patch.text(kRowsTag), "256");
  EXPECT_EQ(edited.bytes(), bytes.element(tags::kModality, "CS", "MRX ") + name +
                                bytes.element(kRowsTag, "US", bytes.number_16(256)) + pixels);
}

TEST_P(EveryFormPatch, InsertsWhatIsAbsentInTagOrder) {
  Edited edited(modality + rows + pixels, GetParam());
  EXPECT_EQ(edited.patch.value(tags::kSeriesNumber), std::nullopt);
  EXPECT_EQ(edited.patch.text(tags::kSeriesNumber), "");
  ASSERT_TRUE(edited.patch.set(tags::kSeriesNumber, "7"));
  ASSERT_TRUE(edited.patch.set(kName, "B"));
  ASSERT_TRUE(edited.patch.set(tags::kSeriesNumber, "10001"));
  ASSERT_TRUE(edited.patch.set({0x0028, 0x0011}, "3"));
  ASSERT_TRUE(edited.patch.set(tags::kSpecificCharacterSet, "ISO_IR 100"));
  EXPECT_EQ(edited.patch.value(tags::kSeriesNumber), "10001 ");
  EXPECT_EQ(edited.patch.text({0x0028, 0x0011}), "3");
  EXPECT_EQ(edited.bytes(), bytes.element(tags::kSpecificCharacterSet, "CS", "ISO_IR 100") +
                                modality + bytes.element(kName, "PN", "B ") +
                                bytes.element(tags::kSeriesNumber, "IS", "10001 ") + rows +
                                bytes.element({0x0028, 0x0011}, "US", bytes.number_16(3)) + pixels);
}

TEST_P(EveryFormPatch, InsertsIntoAnEmptyDataSetAndAtItsEnd) {
  Edited nothing("", GetParam());
  ASSERT_TRUE(nothing.patch.set(tags::kModality, "CT"));
  EXPECT_EQ(nothing.bytes(), modality);
  Edited edited(modality, GetParam());
  ASSERT_TRUE(edited.patch.set(kName, "Test^Name"));
  EXPECT_EQ(edited.bytes(), modality + name);
}

TEST_P(EveryFormPatch, SetsEveryElementWithTheTag) {
  Edited edited(modality + name + modality + rows, GetParam());
  ASSERT_TRUE(edited.patch.set(tags::kModality, "MR"));
  const std::string set = bytes.element(tags::kModality, "CS", "MR");
  EXPECT_EQ(edited.bytes(), set + name + set + rows);
}

TEST_P(EveryFormPatch, RemovesEveryElementWithTheTagAndWhatWasInserted) {
  Edited edited(modality + name + modality + rows, GetParam());
  edited.patch.remove(tags::kModality);
  EXPECT_EQ(edited.patch.value(tags::kModality), std::nullopt);
  ASSERT_TRUE(edited.patch.set(tags::kSeriesNumber, "7"));
  edited.patch.remove(tags::kSeriesNumber);
  EXPECT_EQ(edited.patch.value(tags::kSeriesNumber), std::nullopt);
  EXPECT_EQ(edited.bytes(), name + rows);
  ASSERT_TRUE(edited.patch.set(tags::kModality, "MR"));
  EXPECT_EQ(edited.patch.text(tags::kModality), "MR");
  EXPECT_EQ(edited.bytes(), bytes.element(tags::kModality, "CS", "MR") + name + rows);
}

TEST_P(EveryFormPatch, RefusesTagsThatAreNotItsToSet) {
  Edited edited(modality + pixels, GetParam());
  for (const Tag tag : {tags::kPixelData, tags::kFloatPixelData, Tag{0xFFFC, 0xFFFC}, kGroupLength8,
                        kStudies, Tag{0x0000, 0x0100}, Tag{0x0002, 0x0010}}) {
    const auto set = edited.patch.set(tag, "1");
    ASSERT_FALSE(set) << to_string(tag);
    EXPECT_EQ(set.error().code, ErrorCode::permanent);
    if (tag == kStudies) continue;
    EXPECT_FALSE(edited.patch.insert(kRoot, {tag, Vr::LO, "1"})) << to_string(tag);
    EXPECT_FALSE(edited.patch.append_item(tag, {})) << to_string(tag);
  }
  EXPECT_FALSE(edited.patch.set(kRowsTag, "many"));
  EXPECT_FALSE(edited.patch.append_item(tags::kModality, {}));
  EXPECT_FALSE(edited.patch.insert(0, {kRowsTag, Vr::US, "ab"})) << "no item";
  EXPECT_TRUE(edited.patch.empty());
}

TEST_P(EveryFormPatch, SetsAllOrNone) {
  Edited edited(bytes.element(kRowsTag, "LO", "ab") + rows, GetParam());
  EXPECT_EQ(edited.patch.set(kRowsTag, "many").has_value(), false);
  EXPECT_TRUE(edited.patch.empty());
}

TEST_P(EveryFormPatch, PadsOddValues) {
  Edited edited(bytes.element(tags::kStudyInstanceUid, "UI", "1.2.3") +
                    bytes.element(kName, "PN", "odd") + rows,
                GetParam());
  edited.patch.set(0, "1.2.4");
  EXPECT_EQ(edited.patch.value(0), std::string("1.2.4\0", 6));
  EXPECT_EQ(edited.bytes(),
            bytes.element(tags::kStudyInstanceUid, "UI", std::string("1.2.4\0", 6)) +
                bytes.element(kName, "PN", "odd") + rows);
}

// Four sequences in one another, each level with an element before and behind.
std::string deep(const Bytes& bytes, const std::string& value, bool undefined) {
  std::string data = bytes.element(tags::kReferencedSopInstanceUid, "UI", value);
  for (int level = 0; level < 4; ++level) {
    data =
        bytes.element({0x0008, 0x0104}, "LO", "before") +
        bytes.sequence(kImages, bytes.item("") + bytes.item(data, undefined) + bytes.item("", true),
                       undefined) +
        bytes.element({0x0010, 0x4000}, "LT", "behind");
  }
  return data;
}

TEST_P(EveryFormPatch, CorrectsTheLengthsOfAllThatIsAround) {
  for (const bool undefined : {false, true}) {
    Edited edited(deep(bytes, "1.2.3.4.", undefined), GetParam());
    for (ElementIndex i = 0; i < edited.header.elements().size(); ++i) {
      if (edited.header[i].vr == Vr::UI) edited.patch.set(i, "2.25.1234567");
    }
    EXPECT_EQ(edited.bytes(), deep(bytes, "2.25.1234567", undefined));
  }
}

TEST_P(EveryFormPatch, CorrectsGroupLengthsRightOrWrong) {
  const std::string sequence = bytes.sequence(kImages, bytes.item(uid("1.2.3.4.")));
  const std::string longer = bytes.sequence(kImages, bytes.item(uid("1.2.3.4.5.67")));
  const std::string group = modality + sequence;
  const auto check = [&](int wrong) {
    const auto length = static_cast<std::uint32_t>(static_cast<int>(group.size()) + wrong);
    Edited edited(ul(kGroupLength8, length) + group + ul({0x0010, 0x0000}, 18) + name, GetParam());
    edited.patch.set(edited.at(tags::kReferencedSopInstanceUid, edited.at(kImages) + 1),
                     "1.2.3.4.5.67");
    ASSERT_TRUE(edited.patch.set(tags::kStudyDate, "20240607"));
    edited.patch.remove(tags::kModality);
    const std::string date = bytes.element(tags::kStudyDate, "DA", "20240607");
    EXPECT_EQ(edited.bytes(), ul(kGroupLength8, length + 16 - 10 + 4) + date + longer +
                                  ul({0x0010, 0x0000}, 18) + name);
  };
  for (const int wrong : {0, 14, -4}) check(wrong);
}

TEST_P(EveryFormPatch, CorrectsGroupLengthsInItems) {
  const auto data = [&](const std::string& value) {
    return bytes.sequence(
        kImages, bytes.item(ul(kGroupLength8, static_cast<std::uint32_t>(uid(value).size())) +
                            uid(value) + bytes.element({0x0010, 0x4000}, "LT", "ab")));
  };
  Edited edited(data("1.2."), GetParam());
  edited.patch.set(edited.at(tags::kReferencedSopInstanceUid, 1), "1.2.3.");
  EXPECT_EQ(edited.bytes(), data("1.2.3."));
}

TEST_P(EveryFormPatch, LeavesGroupLengthsAloneThatCannotBeRight) {
  const std::string odd = bytes.element(kGroupLength8, "UL", "ab");
  const std::string tiny = ul({0x0010, 0x0000}, 2);
  Edited edited(odd + modality + tiny + name, GetParam());
  edited.patch.remove(tags::kModality);
  edited.patch.remove(kName);
  EXPECT_EQ(edited.bytes(), odd + tiny);
}

TEST_P(EveryFormPatch, KeepsOrderWherePlacesAreTheSame) {
  // The item and the sequence end where the next element starts.
  const std::string sequence = bytes.sequence(kImages, bytes.item(uid("1.2.")));
  Edited edited(modality + sequence + rows, GetParam());
  const ElementIndex item = edited.at(kImages) + 1;
  edited.patch.remove(kRowsTag);
  ASSERT_TRUE(edited.patch.set({0x0020, 0x0010}, "ab"));
  ASSERT_TRUE(edited.patch.set(kName, "ab"));
  ASSERT_TRUE(edited.patch.append_item(kImages, {}));
  ASSERT_TRUE(
      edited.patch.append_item(kImages, {{tags::kReferencedSopInstanceUid, Vr::UI, "1.3."}}));
  ASSERT_TRUE(edited.patch.insert(item, {{0x0040, 0x0002}, Vr::DA, "20240607"}));
  ASSERT_TRUE(edited.patch.insert(item, {{0x0010, 0x4000}, Vr::LT, "ab"}));
  ASSERT_TRUE(edited.patch.insert(item, {{0x0010, 0x4000}, Vr::LT, "cd"}));
  const std::string grown =
      bytes.sequence(kImages, bytes.item(uid("1.2.") + bytes.element({0x0010, 0x4000}, "LT", "ab") +
                                         bytes.element({0x0010, 0x4000}, "LT", "cd") +
                                         bytes.element({0x0040, 0x0002}, "DA", "20240607")) +
                                  bytes.item("") + bytes.item(uid("1.3.")));
  EXPECT_EQ(edited.bytes(), modality + grown + bytes.element(kName, "PN", "ab") +
                                bytes.element({0x0020, 0x0010}, "SH", "ab"));
}

TEST_P(EveryFormPatch, AppendsToSequencesOfEveryKind) {
  const NewItem item = {{tags::kReferencedSopInstanceUid, Vr::UI, "1.3."}};
  const std::string added = bytes.item(uid("1.3."));
  const auto appended = [&](const std::string& data) {
    Edited edited(data + rows, GetParam());
    EXPECT_TRUE(edited.patch.append_item(kImages, item));
    EXPECT_TRUE(edited.patch.append_item(kImages, item));
    return edited.bytes();
  };
  const std::string one = bytes.item(uid("1.2."));
  EXPECT_EQ(appended(bytes.sequence(kImages, one)),
            bytes.sequence(kImages, one + added + added) + rows);
  EXPECT_EQ(appended(bytes.sequence(kImages, one, true)),
            bytes.sequence(kImages, one + added + added, true) + rows);
  EXPECT_EQ(appended(bytes.sequence(kImages, "")), bytes.sequence(kImages, added + added) + rows);
  EXPECT_EQ(appended(bytes.sequence(kImages, "", true)),
            bytes.sequence(kImages, added + added, true) + rows);
  EXPECT_EQ(appended(""), bytes.sequence(kImages, added + added) + rows);
  // Behind the last item, before a delimiter that is there though the length is known.
  EXPECT_EQ(appended(bytes.sequence(kImages, one + bytes.sequence_end())),
            bytes.sequence(kImages, one + added + added + bytes.sequence_end()) + rows);
}

TEST_P(EveryFormPatch, AppendsToASequenceThatWasRemovedOrInserted) {
  const std::string added = bytes.item(uid("1.3."));
  Edited edited(bytes.sequence(kImages, bytes.item(uid("1.2."))) + rows, GetParam());
  ASSERT_TRUE(edited.patch.append_item(kImages, {}));
  edited.patch.remove(kImages);
  ASSERT_TRUE(
      edited.patch.append_item(kImages, {{tags::kReferencedSopInstanceUid, Vr::UI, "1.3."}}));
  EXPECT_EQ(edited.bytes(), bytes.sequence(kImages, added) + rows);
  Edited inserted(rows, GetParam());
  ASSERT_TRUE(inserted.patch.insert(kRoot, {kImages, Vr::SQ, std::vector<NewItem>{}}));
  EXPECT_EQ(inserted.bytes(), bytes.sequence(kImages, "") + rows);
  ASSERT_TRUE(
      inserted.patch.append_item(kImages, {{tags::kReferencedSopInstanceUid, Vr::UI, "1.3."}}));
  EXPECT_EQ(inserted.bytes(), bytes.sequence(kImages, added) + rows);
}

TEST_P(EveryFormPatch, EditsInsideWhatIsRemovedAreGoneWithIt) {
  const std::string sequence = bytes.sequence(kImages, bytes.item(uid("1.2.")) + bytes.item(""));
  Edited edited(modality + sequence + rows, GetParam());
  const ElementIndex item = edited.at(kImages) + 1;
  edited.patch.set(item + 1, "1.2.3.");
  ASSERT_TRUE(edited.patch.insert(item, {kName, Vr::PN, "x"}));
  Edited item_only = edited;
  item_only.patch = Patch(item_only.header);
  item_only.patch.set(item + 1, "1.2.3.");
  item_only.patch.remove(item);
  EXPECT_EQ(item_only.patch.value(item + 1), std::nullopt);
  EXPECT_EQ(item_only.bytes(), modality + bytes.sequence(kImages, bytes.item("")) + rows);
  edited.patch.remove(kImages);
  EXPECT_EQ(edited.patch.value(item + 1), std::nullopt);
  EXPECT_EQ(edited.bytes(), modality + rows);
}

TEST_P(EveryFormPatch, ReplacesAWholeSequence) {
  const std::string sequence = bytes.sequence(kImages, bytes.item(uid("1.2.")), true);
  Edited edited(modality + sequence + rows, GetParam());
  const ElementIndex index = edited.at(kImages);
  edited.patch.set(index + 2, "1.2.3.");
  ASSERT_TRUE(edited.patch.append_item(kImages, {}));
  edited.patch.set(index, bytes.item(uid("9.9.")));
  EXPECT_EQ(edited.patch.value(index), std::nullopt);
  EXPECT_EQ(edited.patch.value(index + 2), std::nullopt);
  EXPECT_EQ(edited.bytes(), modality + bytes.sequence(kImages, bytes.item(uid("9.9."))) + rows);
  ASSERT_TRUE(edited.patch.append_item(kImages, {}));
  EXPECT_EQ(edited.bytes(),
            modality + bytes.sequence(kImages, bytes.item(uid("9.9.")) + bytes.item("")) + rows);
}

TEST_P(EveryFormPatch, WritesNestedNewItemsInTagOrder) {
  Edited edited(rows, GetParam());
  const NewElement inner{
      kImages, Vr::SQ, std::vector<NewItem>{{{kName, Vr::PN, "ab"}, {kRowsTag, Vr::US, "ab"}}, {}}};
  ASSERT_TRUE(edited.patch.append_item(kStudies, {{kName, Vr::PN, "odd"}, inner}));
  const std::string items =
      bytes.item(bytes.element(kName, "PN", "ab") + bytes.element(kRowsTag, "US", "ab")) +
      bytes.item("");
  EXPECT_EQ(edited.bytes(),
            bytes.sequence(kStudies, bytes.item(bytes.sequence(kImages, items) +
                                                bytes.element(kName, "PN", "odd "))) +
                rows);
}

TEST_P(EveryFormPatch, InsertsBeforeTheFirstHigherTagOfAnUnorderedDataSet) {
  Edited edited(rows + modality + pixels, GetParam());
  ASSERT_TRUE(edited.patch.set(kName, "ab"));
  EXPECT_EQ(edited.bytes(), bytes.element(kName, "PN", "ab") + rows + modality + pixels);
}

TEST_P(EveryFormPatch, RefusesADataSetShorterThanItsHeader) {
  const Edited edited(modality + rows, GetParam());
  EXPECT_FALSE(edited.patch.render(edited.data.size() - 1));
}

TEST(Patch, ValueTooLongForSixteenBitsIsAnError) {
  const Bytes bytes;
  Edited edited(bytes.element(kName, "PN", "ab"), Form::explicit_le);
  ASSERT_TRUE(edited.patch.set(kName, std::string(0xFFFE, 'x')));
  EXPECT_TRUE(edited.patch.render(edited.data.size()));
  ASSERT_TRUE(edited.patch.set(kName, std::string(0xFFFF, 'x')));
  const auto pieces = edited.patch.render(edited.data.size());
  ASSERT_FALSE(pieces);
  EXPECT_EQ(pieces.error().code, ErrorCode::permanent);
  EXPECT_THAT(pieces.error().message,
              HasSubstr("PatientName: a value of 65536 bytes does not fit"));
  Edited implicit(Bytes{Form::implicit_le}.element(kName, "PN", "ab"), Form::implicit_le);
  ASSERT_TRUE(implicit.patch.set(kName, std::string(0xFFFF, 'x')));
  EXPECT_EQ(implicit.bytes().size(), 8U + 0x10000U);
}

TEST(Patch, LeavesASequenceAloneThatHasTheTagOfAGroupLength) {
  const Bytes le;
  const auto around = [&](const std::string& description) {
    return le.sequence({0x0008, 0x0000}, le.item("")) +
           le.element(Tag{0x0008, 0x1030}, "LO", description);
  };
  Edited edited(around("CT"), Form::explicit_le);
  ASSERT_TRUE(edited.patch.set(Tag{0x0008, 0x1030}, "longer"));
  EXPECT_EQ(edited.bytes(), around("longer"));
}

TEST(Patch, SetsNoTextWhereASequenceWasAppended) {
  Edited edited("", Form::explicit_le);
  ASSERT_TRUE(edited.patch.append_item(tags::kModality, {}));
  EXPECT_FALSE(edited.patch.set(tags::kModality, "CT"));
}

TEST(Patch, EditsInsideUnAreImplicitLittleEndian) {
  const Bytes implicit{Form::implicit_le};
  const auto item = [&](const std::string& value) {
    return implicit.item(implicit.element(tags::kReferencedSopInstanceUid, "UI", value));
  };
  const auto check = [&](Form form) {
    const Bytes bytes{form};
    const std::string rows = bytes.element(kRowsTag, "US", "ab");
    Edited defined(bytes.element(kImages, "UN", item("1.2.")) + rows, form);
    defined.patch.set(2, "1.2.3.");
    ASSERT_TRUE(defined.patch.insert(1, {kRowsTag, Vr::US, std::string("\1\0", 2)}));
    ASSERT_TRUE(
        defined.patch.append_item(kImages, {{tags::kReferencedSopInstanceUid, Vr::UI, "1.3."}}));
    EXPECT_EQ(defined.bytes(),
              bytes.element(
                  kImages, "UN",
                  implicit.item(implicit.element(tags::kReferencedSopInstanceUid, "UI", "1.2.3.") +
                                implicit.element(kRowsTag, "US", std::string("\1\0", 2))) +
                      item("1.3.")) +
                  rows);
    const std::string head = bytes.head(kImages, "UN", test::kUndefined);
    Edited undefined(head + item("1.2.") + implicit.sequence_end() + rows, form);
    undefined.patch.set(2, "1.2.3.");
    ASSERT_TRUE(undefined.patch.append_item(kImages, {}));
    EXPECT_EQ(undefined.bytes(),
              head + item("1.2.3.") + implicit.item("") + implicit.sequence_end() + rows);
    Edited empty(bytes.element(kImages, "UN", "") + rows, form);
    ASSERT_TRUE(
        empty.patch.append_item(kImages, {{tags::kReferencedSopInstanceUid, Vr::UI, "1.3."}}));
    EXPECT_EQ(empty.bytes(), bytes.element(kImages, "UN", item("1.3.")) + rows);
  };
  check(Form::explicit_le);
  check(Form::explicit_be);
}

TEST(Patch, SetsUnAsWhatTheDictionarySays) {
  const Bytes bytes{Form::explicit_be};
  Edited edited(bytes.element(tags::kModality, "UN", "CT") +
                    bytes.element(kRowsTag, "UN", std::string("\1\0", 2)),
                Form::explicit_be);
  EXPECT_EQ(edited.patch.text(kRowsTag), "1");
  ASSERT_TRUE(edited.patch.set(kRowsTag, "2"));
  ASSERT_TRUE(edited.patch.set(tags::kModality, "MRX"));
  EXPECT_EQ(edited.patch.text(kRowsTag), "2");
  EXPECT_EQ(edited.bytes(), bytes.element(tags::kModality, "UN", "MRX ") +
                                bytes.element(kRowsTag, "UN", std::string("\2\0", 2)));
}

TEST(Patch, AnEmptyValueGivesWayToASequence) {
  const Bytes bytes;
  const std::string rows = bytes.element(kRowsTag, "US", "ab");
  Edited edited(rows + bytes.element({0x0029, 0x1010}, "LO", ""), Form::explicit_le);
  ASSERT_TRUE(edited.patch.append_item({0x0029, 0x1010}, {}));
  EXPECT_EQ(edited.bytes(), rows + bytes.sequence({0x0029, 0x1010}, bytes.item("")));
  Edited full(rows + bytes.element({0x0029, 0x1010}, "LO", "ab"), Form::explicit_le);
  EXPECT_FALSE(full.patch.append_item({0x0029, 0x1010}, {}));
  EXPECT_TRUE(full.patch.empty());
}

TEST(Patch, AValueThatWasSetDoesNotGiveWayToASequence) {
  Edited edited(Bytes{}.element(tags::kModality, "CS", ""), Form::explicit_le);
  edited.patch.set(edited.at(tags::kModality), "CT");
  EXPECT_FALSE(edited.patch.append_item(tags::kModality, {}));
  EXPECT_EQ(edited.patch.text(tags::kModality), "CT");
}

TEST(Patch, LongValuesStayOnDisk) {
  const Bytes bytes;
  Edited edited(bytes.element({0x0028, 0x1201}, "OW", std::string(20'000, 'x')), Form::explicit_le);
  EXPECT_EQ(edited.patch.value({0x0028, 0x1201}), std::nullopt);
  EXPECT_EQ(edited.patch.text({0x0028, 0x1201}), "");
}

}  // namespace
}  // namespace sluice::dicom
