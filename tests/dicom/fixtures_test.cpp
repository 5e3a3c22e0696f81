// Real images: the index against DCMTK's reading of the same bytes.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <random>

#include "tests/dicom/dcmtk_oracle.h"

namespace sluice::dicom {
namespace {

using test::Image;

struct Refusal {
  std::string_view name;
  std::string_view message;
};

// What DCMTK refuses as well, so that no sender built on it sends them: two files cut
// short, one whose VRs are blanks, one with a stray byte at its start.
constexpr std::array<Refusal, 4> kRefused = {{
    {"MR_truncated.dcm",
     "(7FE0,0010) at byte 1154: the data set ends 62 bytes before the end of the value"},
    {"SC_rgb_jpeg.dcm",
     "(0008,0008) at byte 0: no VR of two capital letters; the data set is not in "
     "explicit VR, or an element before has a wrong length"},
    {"no_meta.dcm",
     "(0820,0500) at byte 0: the data set ends 173189937 bytes before the end of the value"},
    {"rtplan_truncated.dcm",
     "(300A,012C) at byte 1792: the data set ends 21 bytes before the end of the value"},
}};

class Fixtures : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    dcmEnableAutomaticInputDataCorrection.set(OFFalse);
    OFLog::configure(OFLogger::OFF_LOG_LEVEL);  // of what its fixtures are there for
  }
  const std::vector<Image> images_ = test::all_images();
};

TEST_F(Fixtures, AreEnough) {
  EXPECT_GT(images_.size(), 60U);
}

TEST_F(Fixtures, AreTakenButForThoseNobodyCanRead) {
  for (const Image& image : images_) {
    const auto header = test::scan_text(image.data_set, image.syntax);
    const auto* const refused = std::ranges::find(kRefused, image.name, &Refusal::name);
    if (refused == kRefused.end()) {
      EXPECT_TRUE(header) << image.name << ": " << header.error().message;
    } else {
      ASSERT_FALSE(header) << image.name;
      EXPECT_EQ(header.error().code, ErrorCode::corrupt);
      EXPECT_EQ(header.error().message, refused->message) << image.name;
    }
  }
}

TEST_F(Fixtures, HaveTheSameIndexWhateverThePieces) {
  std::mt19937 random(20240607);  // NOLINT(cert-msc51-cpp): the same in every run
  for (const Image& image : images_) {
    const auto whole = test::scan_text(image.data_set, image.syntax);
    const auto check = [&](auto next_size) {
      const auto pieces = test::scan_pieces(image.data_set, image.syntax, next_size);
      ASSERT_EQ(pieces.has_value(), whole.has_value()) << image.name;
      if (whole) {
        EXPECT_EQ(test::difference(*whole, *pieces), "") << image.name;
      } else {
        EXPECT_EQ(pieces.error().message, whole.error().message) << image.name;
      }
    };
    if (image.data_set.size() < 20'000) check([] { return std::size_t{1}; });
    check([&] { return std::uniform_int_distribution<std::size_t>(1, 40)(random); });
    check([&] { return std::uniform_int_distribution<std::size_t>(1, 5000)(random); });
  }
}

TEST_F(Fixtures, AreReadAsDcmtkReadsThem) {
  std::size_t compared = 0;
  for (const Image& image : images_) {
    const auto header = test::scan_text(image.data_set, image.syntax);
    DcmDataset theirs;
    const bool read = test::read_by_dcmtk(image.data_set, image.syntax, theirs);
    EXPECT_EQ(read, header.has_value()) << image.name;
    if (!header || !read) continue;
    if (header->is_unordered()) continue;  // DCMTK sorts
    EXPECT_EQ(test::TreeComparison(*header).compare(theirs), "") << image.name;
    ++compared;
  }
  EXPECT_GT(compared, 55U);
}

TEST_F(Fixtures, StayOneRangeUnderAnEmptyPatch) {
  for (const Image& image : images_) {
    const auto header = test::scan_text(image.data_set, image.syntax);
    if (!header || image.syntax.deflated) continue;
    const auto pieces = Patch(*header).render(image.data_set.size());
    ASSERT_TRUE(pieces) << pieces.error().message;
    ASSERT_EQ(pieces->size(), 1U) << image.name;
    EXPECT_FALSE(pieces->front().is_new());
    EXPECT_EQ(pieces->front().offset, 0U);
    EXPECT_EQ(pieces->front().length, image.data_set.size());
  }
}

}  // namespace
}  // namespace sluice::dicom
