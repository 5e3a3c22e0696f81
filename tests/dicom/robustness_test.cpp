// Real images with bytes changed, cut out and cut off: whatever comes of it must be
// refused or read, and what is read must be fit to be edited.
#include <gtest/gtest.h>

#include <random>

#include "tests/dicom/dcmtk_oracle.h"

namespace sluice::dicom {
namespace {

using test::Image;

constexpr std::size_t kLongest = 40'000;  // bytes of an image: it is the header that counts

class Damage {
 public:
  explicit Damage(std::uint32_t seed) : random_(seed) {}

  std::string operator()(std::string data) {
    const std::size_t times = 1 + below(6);
    for (std::size_t i = 0; i < times && !data.empty(); ++i) {
      // The first bytes hold most of the structure.
      const std::size_t at =
          below(below(2) == 0 ? data.size() : std::min<std::size_t>(data.size(), 2000));
      switch (below(5)) {
        case 0:
          data.resize(at);
          break;
        case 1:
          data.erase(at, below(20));
          break;
        case 2:
          data.insert(at, std::string(below(20), static_cast<char>(below(256))));
          break;
        case 3:
          data[at] = static_cast<char>(data[at] ^ (1 << below(8)));
          break;
        default:
          data[at] = static_cast<char>(below(2) == 0 ? below(256) : 0xFF);
      }
    }
    return data;
  }

  std::size_t below(std::size_t limit) { return random_() % limit; }

 private:
  std::mt19937 random_;
};

void check(const Header& header, const std::string& data, const TransferSyntax& syntax) {
  const auto same = Patch(header).render(data.size());
  ASSERT_TRUE(same);
  ASSERT_EQ(test::joined(*same, data), data);
  for (ElementIndex i = 0; i < header.elements().size(); ++i) {
    const Element& element = header[i];
    ASSERT_GE(element.end, element.value_offset());
    ASSERT_LE(element.end, header.length());
    ASSERT_GT(header.after(i), i);
    ASSERT_LE(element.end, element.parent == kRoot ? header.length() : header[element.parent].end);
  }
  Patch patch(header);
  // A wrong VR may not be able to hold the number; that is an answer as well.
  if (!patch.set(tags::kSeriesNumber, "10000")) return;
  const auto pieces = patch.render(data.size());
  ASSERT_TRUE(pieces) << pieces.error().message;
  const auto again = test::scan_text(test::joined(*pieces, data), syntax);
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(Patch(*again).text(tags::kSeriesNumber), "10000");
}

TEST(Robustness, DamagedImagesAreRefusedOrFitToBeEdited) {
  OFLog::configure(OFLogger::OFF_LOG_LEVEL);
  std::size_t taken = 0;
  std::size_t refused = 0;
  for (Image& image : test::all_images()) {
    if (image.syntax.deflated) continue;
    if (image.data_set.size() > kLongest) image.data_set.resize(kLongest);
    for (std::uint32_t seed = 0; seed < 100; ++seed) {
      SCOPED_TRACE(image.name + ", seed " + std::to_string(seed));
      Damage damage(seed);
      const std::string data = damage(image.data_set);
      const std::size_t size = 1 + damage.below(3000);
      const auto pieces = test::scan_pieces(data, image.syntax, [=] { return size; });
      const auto header = test::scan_text(data, image.syntax);
      ASSERT_EQ(header.has_value(), pieces.has_value());
      if (!header) {
        ++refused;
        EXPECT_EQ(header.error().code, ErrorCode::corrupt);
        EXPECT_EQ(header.error().message, pieces.error().message);
        continue;
      }
      ++taken;
      EXPECT_EQ(test::difference(*header, *pieces), "");
      check(*header, data, image.syntax);
      if (HasFailure()) return;
    }
  }
  EXPECT_GT(taken, 500U);
  EXPECT_GT(refused, 500U);
}

TEST(Robustness, DamagedDeflatedStreamsAreRefusedOrRead) {
  const auto image = test::load_image(test::fixture("image_dfl.dcm"));
  ASSERT_TRUE(image);
  ScanLimits limits;
  limits.inflated = 4U << 20U;
  for (std::uint32_t seed = 0; seed < 100; ++seed) {
    Damage damage(seed);
    const auto header = test::scan_text(damage(image->data_set), image->syntax, limits);
    EXPECT_TRUE(header || header.error().code == ErrorCode::corrupt);
  }
}

TEST(Robustness, NoiseIsRefusedOrRead) {
  for (const auto form : test::kForms) {
    for (std::uint32_t seed = 0; seed < 1000; ++seed) {
      std::mt19937 random(seed);
      std::string noise(200, '\0');
      for (char& byte : noise) byte = static_cast<char>(random() % 4 == 0 ? random() % 256 : 0);
      const auto header = test::scan_text(noise, form);
      EXPECT_TRUE(header || header.error().code == ErrorCode::corrupt);
      if (header) check(*header, noise, test::syntax_of(form));
    }
  }
}

}  // namespace
}  // namespace sluice::dicom
