#include "gateway/dicom/character_set.h"

#include <string>

#include <gtest/gtest.h>

namespace sluice::dicom {
namespace {

TEST(CharacterSet, ConvertsOnlyWhatHasAForm) {
  EXPECT_EQ(convert_text("plain", "ISO_IR 100", "ISO_IR 126"), "plain");
  EXPECT_EQ(convert_text("\xFC", "ISO_IR 100", "ISO_IR 100"), "\xFC");
  EXPECT_EQ(convert_text("\xFC", "ISO_IR 100", "ISO_IR 192"), "\xC3\xBC");
  EXPECT_EQ(convert_text("\xFC", "ISO_IR 100", "ISO_IR 126"), std::nullopt);
  EXPECT_EQ(convert_text("\xFC", "NO SUCH SET", "ISO_IR 192"), std::nullopt);
}

// What cannot be written is told, never written as something else.
TEST(CharacterSet, WritesNothingInto2022SetsThatItCannotReadBack) {
  for (const std::string set : {"ISO 2022 IR 6\\ISO 2022 IR 87", "\\ISO 2022 IR 87",
                                "ISO 2022 IR 100", "\\ISO 2022 IR 149", "GB18030", "ISO_IR 13"}) {
    for (const std::string text : {"M\xC3\xBCller", "\xE5\xB1\xB1", "plain"}) {
      const auto written = convert_text(text, kUtf8Set, set);
      if (!written) continue;
      EXPECT_EQ(convert_text(*written, set, kUtf8Set), text) << set;
    }
  }
}

TEST(CharacterSet, FindsTheFirstByteThatIsNoUtf8) {
  const std::string good = "a\xC3\xBC\xE2\x82\xAC\xF0\x9F\x98\x80\xED\x9F\xBF\xF4\x8F\xBF\xBF";
  EXPECT_EQ(valid_utf8_length(good), good.size());
  EXPECT_EQ(valid_utf8_length(""), 0U);
  // Alone, cut off, too long, a surrogate, above U+10FFFF.
  for (const std::string bad :
       {"\x80", "\xFC", "\xC3", "\xC3(", "\xE2\x82", "\xC0\xAF", "\xE0\x80\xAF", "\xF0\x80\x80\xAF",
        "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF\xFE"}) {
    EXPECT_EQ(valid_utf8_length(std::string(good).append(bad).append(good)), good.size())
        << testing::PrintToString(bad);
  }
}

}  // namespace
}  // namespace sluice::dicom
