#include "gateway/dicom/vr.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "gateway/dicom/header.h"

namespace sluice::dicom {
namespace {

using namespace std::string_literals;

constexpr Vr kUnknown{vr_code('Z', 'Z')};

TEST(Vr, IsItsTwoCharacters) {
  EXPECT_EQ(to_string(Vr::UI), "UI");
  EXPECT_EQ(to_string(kUnknown), "ZZ");
}

// PS3.5 Table 7.1-1
TEST(Vr, HasA32BitLengthWhereTheStandardSaysSo) {
  for (const Vr vr : {Vr::OB, Vr::OD, Vr::OF, Vr::OL, Vr::OV, Vr::OW, Vr::SQ, Vr::SV, Vr::UC,
                      Vr::UN, Vr::UR, Vr::UT, Vr::UV, kUnknown}) {
    EXPECT_TRUE(has_long_length(vr)) << to_string(vr);
  }
  for (const Vr vr :
       {Vr::AE, Vr::AS, Vr::AT, Vr::CS, Vr::DA, Vr::DS, Vr::DT, Vr::FD, Vr::FL, Vr::IS, Vr::LO,
        Vr::LT, Vr::PN, Vr::SH, Vr::SL, Vr::SS, Vr::ST, Vr::TM, Vr::UI, Vr::UL, Vr::US}) {
    EXPECT_FALSE(has_long_length(vr)) << to_string(vr);
  }
}

TEST(Vr, ComesFromTheDictionary) {
  ASSERT_TRUE(check_dictionary());
  EXPECT_EQ(dictionary_vr(tags::kStudyInstanceUid), Vr::UI);
  EXPECT_EQ(dictionary_vr(tags::kSeriesNumber), Vr::IS);
  EXPECT_EQ(dictionary_vr(tags::kOriginalAttributesSequence), Vr::SQ);
  EXPECT_EQ(dictionary_vr({0x0028, 0x0106}), Vr::US) << "US or SS";
  EXPECT_EQ(dictionary_vr({0x0028, 0x3006}), Vr::OW) << "US or OW: a table";
  EXPECT_EQ(dictionary_vr(tags::kPixelData), Vr::OW);
  EXPECT_EQ(dictionary_vr({0x6002, 0x3000}), Vr::OW) << "OB or OW, in a repeating group";
  EXPECT_EQ(dictionary_vr({0x5000, 0x3000}), Vr::OW);
  EXPECT_EQ(dictionary_vr({0x0008, 0x0000}), Vr::UL);
  EXPECT_EQ(dictionary_vr({0x0029, 0x0000}), Vr::UL);
  EXPECT_EQ(dictionary_vr({0x0029, 0x0010}), Vr::LO);
  EXPECT_EQ(dictionary_vr({0x0029, 0x00FF}), Vr::LO);
  EXPECT_EQ(dictionary_vr({0x0029, 0x000F}), Vr::UN);
  EXPECT_EQ(dictionary_vr({0x0029, 0x1010}), Vr::UN);
  EXPECT_EQ(dictionary_vr({0x0008, 0xFFF0}), Vr::UN);
}

TEST(Vr, KnownVrOfAnElementIsWhatAFilterGoesBy) {
  Element element;
  element.tag = tags::kStudyInstanceUid;
  element.vr = Vr::UN;
  EXPECT_EQ(element.known_vr(), Vr::UI);
  element.vr = Vr::LO;
  EXPECT_EQ(element.known_vr(), Vr::LO) << "what the bytes say counts where they say something";
  element.tag = tags::kOriginalAttributesSequence;
  element.vr = Vr::UN;
  EXPECT_EQ(element.known_vr(), Vr::UN) << "its bytes are no sequence";
  element.tag = tags::kItem;
  EXPECT_EQ(element.known_vr(), Vr::UN);
}

TEST(Vr, IsPaddedWithSpaceOrNul) {
  for (const Vr vr : {Vr::AE, Vr::CS, Vr::DS, Vr::IS, Vr::LO, Vr::LT, Vr::PN, Vr::SH, Vr::ST,
                      Vr::TM, Vr::UC, Vr::UR, Vr::UT, Vr::DA, Vr::DT, Vr::AS}) {
    EXPECT_EQ(padding_of(vr), ' ') << to_string(vr);
  }
  for (const Vr vr : {Vr::UI, Vr::OB, Vr::OW, Vr::UN, Vr::US, kUnknown})
    EXPECT_EQ(padding_of(vr), '\0');
}

TEST(Vr, TextLeavesOutPadding) {
  EXPECT_EQ(value_to_text(Vr::CS, " CT ", false), "CT");
  EXPECT_EQ(value_to_text(Vr::UI, "1.2.3\0"s, false), "1.2.3");
  EXPECT_EQ(value_to_text(Vr::IS, " 7\0"s, false), "7");
  EXPECT_EQ(value_to_text(Vr::CS, " A \\ B\\", false), "A\\B\\");
  EXPECT_EQ(value_to_text(Vr::PN, "A B ", false), "A B");
  EXPECT_EQ(value_to_text(Vr::LT, "  a\\b ", false), "  a\\b");
  EXPECT_EQ(value_to_text(Vr::UC, "  a \\ b ", false), "  a\\ b");
  EXPECT_EQ(value_to_text(Vr::UR, " a\\b ", false), "a\\b");
  EXPECT_EQ(value_to_text(Vr::UN, "ab\0"s, false), "ab");
  EXPECT_EQ(value_to_text(kUnknown, "ab ", false), "ab");
  EXPECT_EQ(value_to_text(Vr::OB, "ab", false), "");
  EXPECT_EQ(value_to_text(Vr::OW, "ab", false), "");
  EXPECT_EQ(value_to_text(Vr::SQ, "ab", false), "");
  EXPECT_EQ(value_to_text(Vr::CS, "", false), "");
}

TEST(Vr, NumbersAreDecimalInBothByteOrders) {
  EXPECT_EQ(value_to_text(Vr::US, "\x02\x01\xFF\xFF"s, false), "258\\65535");
  EXPECT_EQ(value_to_text(Vr::US, "\x01\x02"s, true), "258");
  EXPECT_EQ(value_to_text(Vr::SS, "\xFE\xFF"s, false), "-2");
  EXPECT_EQ(value_to_text(Vr::UL, "\0\0\1\0"s, false), "65536");
  EXPECT_EQ(value_to_text(Vr::UL, "\0\1\0\0"s, true), "65536");
  EXPECT_EQ(value_to_text(Vr::AT, "\x10\x00\x20\x00"s, false), "0010,0020");
  EXPECT_EQ(value_to_text(Vr::US, "\x02\x01\x07"s, false), "258") << "a rest is no number";
  EXPECT_EQ(value_to_text(Vr::US, "\x02"s, false), "");
}

TEST(Vr, TextGivesBackNumbers) {
  const std::vector<std::pair<Vr, std::string>> table = {
      {Vr::US, "0\\65535"},
      {Vr::SS, "-32768\\32767"},
      {Vr::UL, "4294967295"},
      {Vr::SL, "-2147483648\\1"},
      {Vr::UV, "18446744073709551615"},
      {Vr::SV, "-9223372036854775808"},
      {Vr::FL, "1.5\\-0.25"},
      {Vr::FD, "0.1\\1e+300"},
      {Vr::AT, "0010,0020\\7FE0,0010"},
  };
  for (const auto& [vr, text] : table) {
    for (const bool big_endian : {false, true}) {
      const auto value = text_to_value(vr, text, big_endian);
      ASSERT_TRUE(value) << to_string(vr);
      EXPECT_EQ(value->size() % 2, 0U);
      EXPECT_EQ(value_to_text(vr, *value, big_endian), text) << to_string(vr);
    }
  }
  EXPECT_EQ(*text_to_value(Vr::US, "258", true), "\x01\x02");
  EXPECT_EQ(*text_to_value(Vr::US, " 258 ", false), "\x02\x01");
}

TEST(Vr, ValuesArePaddedToEvenLength) {
  EXPECT_EQ(*text_to_value(Vr::UI, "1.2.3", false), "1.2.3\0"s);
  EXPECT_EQ(*text_to_value(Vr::CS, "MRX", false), "MRX ");
  EXPECT_EQ(*text_to_value(Vr::IS, "7", false), "7 ");
  EXPECT_EQ(*text_to_value(Vr::IS, " 07.x", false), " 07.x ") << "as given";
  EXPECT_EQ(*text_to_value(Vr::LT, "a\\b", false), "a\\b ");
  EXPECT_EQ(*text_to_value(Vr::UN, "abc", false), "abc\0"s);
  EXPECT_EQ(*text_to_value(Vr::OB, "abc", false), "abc\0"s);
  EXPECT_EQ(*text_to_value(kUnknown, "abc", false), "abc\0"s);
  EXPECT_EQ(*text_to_value(Vr::US, "", false), "");
  EXPECT_EQ(*text_to_value(Vr::CS, "", false), "");
}

TEST(Vr, TextThatIsNoValueIsAPermanentError) {
  const std::vector<std::pair<Vr, std::string>> table = {
      {Vr::US, "many"},  {Vr::US, "65536"}, {Vr::US, "-1"},   {Vr::US, "1\\"},     {Vr::US, "1.5"},
      {Vr::SS, "40000"}, {Vr::FL, "x"},     {Vr::AT, "0010"}, {Vr::OW, "1"},       {Vr::OF, "1"},
      {Vr::SQ, ""},      {Vr::SQ, "x"},     {Vr::UL, "1 2"},  {Vr::FD, "1e+9999"},
  };
  for (const auto& [vr, text] : table) {
    const auto value = text_to_value(vr, text, false);
    ASSERT_FALSE(value) << to_string(vr) << " " << text;
    EXPECT_EQ(value.error().code, ErrorCode::permanent);
  }
  EXPECT_LT(text_to_value(Vr::US, std::string(10'000, 'x'), false).error().message.size(), 200U);
}

}  // namespace
}  // namespace sluice::dicom
