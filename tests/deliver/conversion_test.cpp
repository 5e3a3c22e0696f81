#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dcostrmb.h>

#include <gtest/gtest.h>

#include "gateway/deliver/payload.h"
#include "gateway/dicom/uid.h"
#include "tests/deliver/gateway_parts.h"
#include "tests/dicom/dcmtk_oracle.h"

namespace sluice::test {
namespace {

using namespace std::string_literals;

const std::string kPacs = dicom_destination("pacs", 104) + route("\"pacs\"");
const std::string kBigEndian(dicom::kExplicitVrBigEndian);
const std::string kDeflated(dicom::kDeflatedExplicitVrLittleEndian);
const std::vector<std::string> kAllUncompressed = {kImplicit, kExplicit, kBigEndian, kDeflated};

// The uncompressed fixtures whose structure the scanner takes.
std::vector<Image> uncompressed_images() {
  std::vector<Image> images;
  for (Image& image : all_images()) {
    if (image.syntax.encapsulated) continue;
    if (!dicom::scan(std::as_bytes(std::span(image.data_set)), image.syntax)) continue;
    images.push_back(std::move(image));
  }
  return images;
}

Result<Payload> open_without_chain(GatewayParts& parts, const Image& image) {
  ReceivedData data;
  data.transfer_syntax_uid = image.syntax.uid;
  data.data_set = image.data_set;
  const auto header = dicom::scan(std::as_bytes(std::span(image.data_set)), image.syntax);
  const auto index = header->find(dicom::tags::kSopInstanceUid);
  data.sop_instance_uid =
      index ? std::string(dicom::trim_uid(header->value(*index).value_or(""))) : "";
  return parts.payload(parts.receive(data, {"pacs"}));
}

// As DCMTK reads and writes it, without group lengths, which depend on the encoding, nor
// those of items, which it gets wrong where a value inside has an odd one.
std::string by_dcmtk(const std::string& bytes, const dicom::TransferSyntax& syntax,
                     E_TransferSyntax to) {
  dcmEnableAutomaticInputDataCorrection.set(OFFalse);
  DcmDataset data_set;
  if (!read_by_dcmtk(bytes, syntax, data_set)) return "unreadable";
  data_set.computeGroupLengthAndPadding(EGL_withoutGL, EPD_noChange, to, EET_UndefinedLength);
  std::vector<char> buffer(bytes.size() * 100 + 1'000'000);
  DcmOutputBufferStream stream(buffer.data(), static_cast<offile_off_t>(buffer.size()));
  data_set.transferInit();
  const OFCondition written =
      data_set.write(stream, to, EET_UndefinedLength, nullptr, EGL_noChange);
  data_set.transferEnd();
  if (written.bad()) return "unwritable";
  void* start = nullptr;
  offile_off_t length = 0;
  stream.flushBuffer(start, length);
  return {static_cast<const char*>(start), static_cast<std::size_t>(length)};
}

TEST(Conversion, KeepsEveryValueOfEveryFixtureInEverySyntax) {
  GatewayParts parts(kPacs);
  int converted = 0;
  for (const Image& image : uncompressed_images()) {
    for (const std::string& syntax : kAllUncompressed) {
      if (syntax == image.syntax.uid) continue;
      auto payload = open_without_chain(parts, image);
      ASSERT_TRUE(payload) << image.name << payload.error().message;
      auto other = payload->converted(syntax);
      if (!other) {
        ADD_FAILURE() << image.name << ' ' << syntax << ": " << other.error().message;
        continue;
      }
      EXPECT_EQ(other->transfer_syntax().uid, syntax);
      const std::string bytes = bytes_of(*other);
      EXPECT_EQ(other->length(), bytes.size());
      EXPECT_EQ(bytes.size() % 2, 0U) << image.name;
      // One encoding, so that values can be compared. What is implicit has no VRs.
      const E_TransferSyntax to =
          syntax == kImplicit ? EXS_LittleEndianImplicit : EXS_LittleEndianExplicit;
      EXPECT_NE(by_dcmtk(bytes, other->transfer_syntax(), to), "unreadable") << image.name;
      EXPECT_TRUE(by_dcmtk(bytes, other->transfer_syntax(), to) ==
                  by_dcmtk(image.data_set, image.syntax, to))
          << image.name << ' ' << syntax;
      ++converted;
    }
  }
  EXPECT_GT(converted, 60);
  EXPECT_TRUE(parts.left_over().empty());
}

TEST(Conversion, ThereAndBackGivesEqualValues) {
  GatewayParts parts(kPacs);
  for (const Image& image : uncompressed_images()) {
    if (image.syntax.uid == kImplicit) continue;
    const std::string expected = by_dcmtk(image.data_set, image.syntax, EXS_LittleEndianExplicit);
    for (const std::string& syntax : {kBigEndian, kDeflated}) {
      if (syntax == image.syntax.uid) continue;
      auto payload = open_without_chain(parts, image);
      ASSERT_TRUE(payload);
      auto there = payload->converted(syntax);
      ASSERT_TRUE(there) << image.name << there.error().message;
      auto back = there->converted(image.syntax.uid);
      ASSERT_TRUE(back) << image.name << back.error().message;
      EXPECT_TRUE(by_dcmtk(bytes_of(*back), image.syntax, EXS_LittleEndianExplicit) == expected)
          << image.name;
    }
  }
}

TEST(Conversion, BetweenDeflatedAndExplicitKeepsEveryByte) {
  GatewayParts parts(kPacs);
  for (const Image& image : uncompressed_images()) {
    if (image.syntax.uid != kExplicit) continue;
    auto payload = open_without_chain(parts, image);
    ASSERT_TRUE(payload);
    auto deflated = payload->converted(kDeflated);
    ASSERT_TRUE(deflated) << deflated.error().message;
    auto back = deflated->converted(kExplicit);
    ASSERT_TRUE(back) << back.error().message;
    EXPECT_TRUE(bytes_of(*back) == image.data_set) << image.name;
  }
}

TEST(Conversion, GivesTheSameBytesAgain) {
  GatewayParts parts(kPacs);
  const Image image = *load_image(fixture("CT_small.dcm"));
  auto payload = open_without_chain(parts, image);
  ASSERT_TRUE(payload);
  auto first = payload->converted(kBigEndian);
  auto second = payload->converted(kBigEndian);
  ASSERT_TRUE(first && second);
  EXPECT_TRUE(bytes_of(*first) == bytes_of(*second));
  EXPECT_TRUE(bytes_of(*payload) == image.data_set);
}

std::string implicit_element(std::size_t group, std::size_t number, const std::string& value) {
  return little16(group) + little16(number) + little32(value.size()) + value;
}

Image made(const std::string& more) {
  return {"made", dicom::transfer_syntax(kImplicit), small_data_set(kCtStorage, "1.2.3.4") + more};
}

// DCMTK drops the second and says so in its log only.
TEST(Conversion, IsRefusedWhereAnElementWouldBeLost) {
  GatewayParts parts(kPacs);
  const Image image =
      made(implicit_element(0x0020, 0x4000, "one ") + implicit_element(0x0020, 0x4000, "two "));
  auto payload = open_without_chain(parts, image);
  ASSERT_TRUE(payload) << payload.error().message;
  const auto converted = payload->converted(kExplicit);
  ASSERT_FALSE(converted);
  EXPECT_EQ(converted.error().code, ErrorCode::permanent);
  EXPECT_NE(converted.error().message.find("ImageComments"), std::string::npos)
      << converted.error().message;
}

TEST(Conversion, KeepsWhiteSpaceInValues) {
  GatewayParts parts(kPacs);
  const Image image = made(implicit_element(0x0020, 0x0052, "1.2. 3\0 "s) +
                           implicit_element(0x0020, 0x4000, "  a  "s + "b "));
  auto payload = open_without_chain(parts, image);
  ASSERT_TRUE(payload) << payload.error().message;
  auto converted = payload->converted(kExplicit);
  ASSERT_TRUE(converted) << converted.error().message;
  const std::string bytes = bytes_of(*converted);
  EXPECT_NE(bytes.find("1.2. 3\0 "s), std::string::npos);
  EXPECT_NE(bytes.find("  a  b "), std::string::npos);
}

TEST(Conversion, KeepsNestedAndPrivateElements) {
  GatewayParts parts(kPacs);
  const std::string inner = implicit_element(0x0008, 0x1150, "1.2 ") +
                            implicit_element(0x0009, 0x0010, "PRIVATE ") +
                            implicit_element(0x0009, 0x1001, "\1\2\3\4");
  const std::string item = little16(0xFFFE) + little16(0xE000) + little32(0xFFFFFFFF) + inner +
                           little16(0xFFFE) + little16(0xE00D) + little32(0);
  const std::string sequence = little16(0x0040) + little16(0x0275) + little32(0xFFFFFFFF) + item +
                               item + little16(0xFFFE) + little16(0xE0DD) + little32(0);
  const Image image = made(sequence + implicit_element(0x0041, 0x0010, "OTHER ") +
                           implicit_element(0x0041, 0x1002, "raw bytes "));
  auto payload = open_without_chain(parts, image);
  ASSERT_TRUE(payload) << payload.error().message;
  for (const std::string& syntax : {kExplicit, kBigEndian, kDeflated}) {
    auto converted = payload->converted(syntax);
    ASSERT_TRUE(converted) << syntax << ": " << converted.error().message;
    const std::string bytes = bytes_of(*converted);
    if (syntax == kDeflated) continue;
    EXPECT_NE(bytes.find("raw bytes "), std::string::npos);
    EXPECT_NE(bytes.find("\1\2\3\4"), std::string::npos);
  }
}

TEST(Conversion, OfCompressedDataIsRefused) {
  GatewayParts parts(kPacs);
  const auto image = load_image(fixture("693_J2KI.dcm"));
  ASSERT_TRUE(image && image->syntax.encapsulated);
  auto payload = open_without_chain(parts, *image);
  ASSERT_TRUE(payload) << payload.error().message;
  const auto converted = payload->converted(kExplicit);
  ASSERT_FALSE(converted);
  EXPECT_EQ(converted.error().code, ErrorCode::permanent);
}

}  // namespace
}  // namespace sluice::test
