#include "gateway/deliver/payload.h"

#include <gtest/gtest.h>

#include "gateway/dicom/uid.h"
#include "tests/deliver/gateway_parts.h"
#include "tests/dicom/dcmtk_oracle.h"

namespace sluice::test {
namespace {

const std::string kToPacs = dicom_destination("pacs", 104) + route("\"pacs\"");
// A filter that edits every data set with a series.
const std::string kEditing = dicom_destination("pacs", 104) +
                             "\n[[filter]]\nname = \"renumber\"\ntype = \"remap_series_number\"\n"
                             "mode = \"offset\"\noffset = 10000\n" +
                             route("\"pacs\"", "\"sanitize_uids\", \"renumber\"");

std::string value_at(const dicom::Header& header, dicom::Tag tag) {
  const auto index = header.find(tag);
  return index ? std::string(header.value(*index).value_or("")) : "absent";
}

ReceivedData received(const Image& image) {
  ReceivedData data;
  data.transfer_syntax_uid = image.syntax.uid;
  data.data_set = image.data_set;
  if (const auto header = dicom::scan(std::as_bytes(std::span(image.data_set)), image.syntax)) {
    const auto uid = [&](dicom::Tag tag) {
      const auto index = header->find(tag);
      const auto value = index ? header->value(*index).value_or("") : "";
      return std::string(dicom::trim_uid(value));
    };
    data.sop_class_uid = uid(dicom::tags::kSopClassUid);
    data.sop_instance_uid = uid(dicom::tags::kSopInstanceUid);
  }
  return data;
}

// Those whose structure the receiver takes.
std::vector<Image> whole_images() {
  std::vector<Image> images = all_images();
  std::erase_if(images, [](const Image& image) {
    return !dicom::scan(std::as_bytes(std::span(image.data_set)), image.syntax);
  });
  return images;
}

Image image_named(const std::string& name) {
  auto image = load_image(fixture(name));
  if (!image) throw std::runtime_error(name + " is no image");
  return *image;
}

TEST(Payload, WithoutFiltersGivesEveryFixtureAsReceived) {
  GatewayParts parts(kToPacs);
  for (const Image& image : whole_images()) {
    const auto id = parts.receive(received(image), {"pacs"});
    auto payload = parts.payload(id);
    ASSERT_TRUE(payload) << image.name << payload.error().message;
    EXPECT_EQ(payload->length(), image.data_set.size()) << image.name;
    EXPECT_TRUE(bytes_of(*payload) == image.data_set) << image.name;
  }
}

TEST(Payload, GivesTheSameBytesAtEveryAttempt) {
  GatewayParts parts(kEditing);
  int edited = 0;
  for (const Image& image : whole_images()) {
    const auto id = parts.receive(received(image), {"pacs"});
    auto first = parts.payload(id);
    if (!first) continue;
    const std::string bytes = bytes_of(*first, 1);
    auto second = parts.payload(id);
    ASSERT_TRUE(second) << image.name;
    EXPECT_TRUE(bytes_of(*second, 4096) == bytes) << image.name;
    parts.reopen();
    auto third = parts.payload(id);
    ASSERT_TRUE(third) << image.name;
    EXPECT_TRUE(bytes_of(*third, 100'000) == bytes) << image.name;
    EXPECT_EQ(third->length(), bytes.size()) << image.name;
    if (bytes != image.data_set) ++edited;
  }
  EXPECT_GT(edited, 20);
}

TEST(Payload, OfADeflatedDataSetCarriesTheEdits) {
  GatewayParts parts(kEditing);
  const Image image = image_named("image_dfl.dcm");
  ASSERT_TRUE(image.syntax.deflated);
  const auto id = parts.receive(received(image), {"pacs"});
  auto payload = parts.payload(id);
  ASSERT_TRUE(payload) << payload.error().message;
  const std::string bytes = bytes_of(*payload);
  EXPECT_FALSE(bytes == image.data_set);
  auto before = dicom::scan(std::as_bytes(std::span(image.data_set)), image.syntax);
  auto after = dicom::scan(std::as_bytes(std::span(bytes)), image.syntax);
  ASSERT_TRUE(before && after);
  EXPECT_NE(value_at(*after, dicom::tags::kSeriesNumber),
            value_at(*before, dicom::tags::kSeriesNumber));
  EXPECT_EQ(value_at(*after, dicom::tags::kPatientId), value_at(*before, dicom::tags::kPatientId));
  EXPECT_TRUE(parts.left_over().empty());
}

TEST(Payload, NamesWhatItSendsByTheEditedUids) {
  GatewayParts parts(kEditing);
  const auto id = parts.receive(small_instance("1.2.03.4"), {"pacs"});
  const auto payload = parts.payload(id);
  ASSERT_TRUE(payload) << payload.error().message;
  EXPECT_TRUE(payload->identifiers().sop_instance_uid.starts_with("2.25."));
  EXPECT_EQ(payload->identifiers().sop_class_uid, kCtStorage);
  EXPECT_EQ(payload->identifiers().patient_id, "ID1");
  EXPECT_EQ(payload->identifiers().study_instance_uid, "1.2.3.1");
}

TEST(Payload, IsRefusedWhenAByteOfTheFileChanged) {
  GatewayParts parts(kToPacs);
  const auto id = parts.receive(small_instance("1.2.3"), {"pacs"});
  flip_byte(parts.spool_path(id));
  const auto payload = parts.payload(id);
  ASSERT_FALSE(payload);
  EXPECT_EQ(payload.error().code, ErrorCode::corrupt);
}

// The limit may have been higher when it was acknowledged.
TEST(Payload, OfSequencesDeeperThanTheDefaultIsRead) {
  GatewayParts parts(kToPacs);
  ReceivedData data = small_instance("1.2.1");
  std::string close;
  for (int i = 0; i < 120; ++i) {
    data.data_set +=
        std::string("\x40\0\x30\xA7\xFF\xFF\xFF\xFF\xFE\xFF\0\xE0\xFF\xFF\xFF\xFF", 16);
    close += std::string("\xFE\xFF\x0D\xE0\0\0\0\0\xFE\xFF\xDD\xE0\0\0\0\0", 16);
  }
  data.data_set += close;
  const auto payload = parts.payload(parts.receive(data, {"pacs"}));
  EXPECT_TRUE(payload) << payload.error().message;
}

TEST(Payload, IsRefusedWhenTheFileIsShorterLongerSwappedOrGone) {
  GatewayParts parts(kToPacs);
  const auto shorter = parts.receive(small_instance("1.2.1"), {"pacs"});
  const auto longer = parts.receive(small_instance("1.2.2"), {"pacs"});
  const auto swapped = parts.receive(small_instance("1.2.3"), {"pacs"});
  const auto gone = parts.receive(small_instance("1.2.4"), {"pacs"});
  namespace fs = std::filesystem;
  fs::resize_file(parts.spool_path(shorter), fs::file_size(parts.spool_path(shorter)) - 1);
  fs::rename(parts.spool_path(gone), parts.spool_path(swapped));
  std::ofstream(parts.spool_path(longer), std::ios::app) << "x";
  for (const auto& id : {shorter, longer, swapped, gone}) {
    const auto payload = parts.payload(id);
    ASSERT_FALSE(payload);
    EXPECT_EQ(payload.error().code, ErrorCode::corrupt) << payload.error().message;
  }
}

TEST(Payload, IsForAPersonWhenItsRouteIsGone) {
  GatewayParts parts(kToPacs);
  const auto id = parts.receive(small_instance("1.2.3"), {"pacs"}, "yesterday");
  const auto payload = parts.payload(id, "yesterday");
  ASSERT_FALSE(payload);
  EXPECT_EQ(payload.error().code, ErrorCode::configuration);
}

TEST(Payload, IsForAPersonWhenTodaysChainRejects) {
  GatewayParts parts(kToPacs);  // without a filter that settles the mismatch
  ReceivedData data = small_instance("1.2.3");
  data.sop_instance_uid = "1.2.4";
  const auto id = parts.receive(data, {"pacs"});
  const auto payload = parts.payload(id);
  ASSERT_FALSE(payload);
  EXPECT_EQ(payload.error().code, ErrorCode::permanent);
  EXPECT_NE(payload.error().message.find("rejects it"), std::string::npos);
}

TEST(Payload, IsCorruptWhenADeflatedStreamIsCutShort) {
  GatewayParts parts(kEditing);
  Image image = image_named("image_dfl.dcm");
  image.data_set.resize(image.data_set.size() - 100);
  ReceivedData data = received(image_named("image_dfl.dcm"));
  data.data_set = image.data_set;
  const auto payload = parts.payload(parts.receive(data, {"pacs"}));
  ASSERT_FALSE(payload);
  EXPECT_EQ(payload.error().code, ErrorCode::corrupt);
}

TEST(Payload, WithoutRoomForATemporaryFileIsTriedLater) {
  GatewayParts parts(kEditing);
  const auto id = parts.receive(received(image_named("image_dfl.dcm")), {"pacs"});
  const auto payload = Payload::open(
      parts.entry(id), {parts.spool(), parts.pipeline(), parts.ledger(), parts.path("missing")});
  ASSERT_FALSE(payload);
  EXPECT_EQ(payload.error().code, ErrorCode::transient);
}

}  // namespace
}  // namespace sluice::test
