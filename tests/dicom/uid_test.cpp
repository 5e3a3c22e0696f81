#include "gateway/dicom/uid.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <string>
#include <vector>

#include "gateway/dicom/vr.h"

namespace sluice::dicom {
namespace {

using namespace std::string_literals;

TEST(Uid, TellsWhatIsWrongWithOne) {
  const std::string longest = "1." + std::string(62, '3');
  const std::vector<std::pair<std::string, UidDefect>> table = {
      {"1.2.840.10008.1.2", UidDefect::none},
      {"1.2.840.10008.1.2\0"s, UidDefect::none},
      {"0.0", UidDefect::none},
      {"1", UidDefect::none},
      {"2.25.0", UidDefect::none},
      {longest, UidDefect::none},
      {"1.2.3\0"s, UidDefect::none},
      {"1.2.30\0"s, UidDefect::padding},  // was even
      {"1.2.3\0\0\0"s, UidDefect::padding},
      {"1.2.3 ", UidDefect::padding},
      {"1.2.3   ", UidDefect::padding},
      {" 1.2.3", UidDefect::padding},
      {"\0001.2.3"s, UidDefect::padding},
      {"1.2.3\r\n", UidDefect::padding},
      {"\t1.2.3\0"s, UidDefect::padding},
      {"1. 2", UidDefect::inner_white_space},
      {"1.\0002"s, UidDefect::inner_white_space},
      {"1.2\n.3", UidDefect::inner_white_space},
      {"1. 02", UidDefect::inner_white_space},
      {"REM SAMPLES 1", UidDefect::illegal_character},
      {"1.2.3_4", UidDefect::illegal_character},
      {"1.2.a3f", UidDefect::illegal_character},
      {"1.2.-3", UidDefect::illegal_character},
      {"1.2\\1.3", UidDefect::illegal_character},
      {"../../etc/passwd", UidDefect::illegal_character},
      {"3.1", UidDefect::illegal_character},
      {"10.1", UidDefect::illegal_character},
      {"1\xC3\xA4", UidDefect::illegal_character},
      {"1..2", UidDefect::empty_component},
      {".1", UidDefect::empty_component},
      {"1.2.", UidDefect::empty_component},
      {"...", UidDefect::empty_component},
      {".", UidDefect::empty_component},
      {"1.02", UidDefect::leading_zero},
      {"1.2.00", UidDefect::leading_zero},
      {"01.2", UidDefect::leading_zero},
      {"1.2.840.113619.2.01.3", UidDefect::leading_zero},
      {longest + "3", UidDefect::too_long},
      {longest + "3\0"s, UidDefect::too_long},
      {"1.02." + longest, UidDefect::leading_zero},
      {"", UidDefect::empty},
      {"\0"s, UidDefect::empty},
      {"  \0"s, UidDefect::empty},
  };
  for (const auto& [value, defect] : table) {
    EXPECT_EQ(to_string(find_uid_defect(value)), to_string(defect))
        << testing::PrintToString(value);
    EXPECT_EQ(is_valid_uid(value), defect == UidDefect::none && value.back() != '\0')
        << testing::PrintToString(value);
  }
}

TEST(Uid, EveryDefectHasAName) {
  std::set<std::string_view> names;
  for (int i = 0; i <= static_cast<int>(UidDefect::empty); ++i)
    names.insert(to_string(static_cast<UidDefect>(i)));
  EXPECT_EQ(names.size(), static_cast<std::size_t>(UidDefect::empty) + 1);
  EXPECT_FALSE(names.contains("unknown"));
}

TEST(Uid, TrimsBothEnds) {
  EXPECT_EQ(trim_uid(" \t1.2.3\0\0 \n"s), "1.2.3");
  EXPECT_EQ(trim_uid("1. 2"), "1. 2");
  EXPECT_EQ(trim_uid("\0\0"s), "");
  EXPECT_EQ(trim_uid(""), "");
}

TEST(Uid, StripsLeadingZeros) {
  EXPECT_EQ(strip_leading_zeros("1.02.003"), "1.2.3");
  EXPECT_EQ(strip_leading_zeros("0.00.10"), "0.0.10");
  EXPECT_EQ(strip_leading_zeros("1.2"), "1.2");
  EXPECT_EQ(strip_leading_zeros("1..02"), "1..2");
  EXPECT_EQ(strip_leading_zeros(""), "");
}

// Computed with Python's hmac and hashlib.
TEST(Uid, HashIsAPureFunctionOfKeyAndUid) {
  EXPECT_EQ(hash_uid("site key", "1.2.3"), "2.25.26730596918540649411794485370670966294");
  EXPECT_EQ(hash_uid("site key", "1.2.840.113619.2.1"),
            "2.25.245301226519075060446882013342757013366");
  EXPECT_EQ(hash_uid("site key", " 1.2.3\0"s), hash_uid("site key", "1.2.3"));
  EXPECT_NE(hash_uid("other key", "1.2.3"), hash_uid("site key", "1.2.3"));
  EXPECT_NE(hash_uid("site key", "1.2.03"), hash_uid("site key", "1.2.3"));
  EXPECT_TRUE(is_valid_uid(hash_uid("", "")));
}

// Computed with Python's hmac and hashlib.
TEST(Uid, HashBelowARootHasAsManyBitsAsFit) {
  EXPECT_EQ(hash_uid("site key", "1.2.3", "1.2.826.0.1.3680043.10.999"),
            "1.2.826.0.1.3680043.10.999.417665576852203549873277232897395096");
  EXPECT_EQ(hash_uid("site key", " 1.2.3 ", "1.2"),
            "1.2.63115837477608383411138477416524874274447011939410062444421");
  EXPECT_EQ(hash_uid("site key", "1.2.3", "1." + std::string(41, '3')),
            "1.33333333333333333333333333333333333333333.5796274250183302416");
  for (std::size_t length = 3; length < 63; ++length) {
    const std::string root = "1." + std::string(length - 2, '3');
    std::size_t longest = 0;
    for (int i = 0; i < 100; ++i) {
      const std::string uid = hash_uid("key", "1.2." + std::to_string(i), root);
      EXPECT_TRUE(is_valid_uid(uid)) << uid;
      EXPECT_TRUE(uid.starts_with(root + ".")) << uid;
      longest = std::max(longest, uid.size());
    }
    EXPECT_EQ(longest, 64U) << "the room is used";
    // 10^n has 3.32 n bits.
    const double room = 64.0 - static_cast<double>(length) - 1.0;
    EXPECT_NEAR(hashed_bits_below(root), std::floor(room * std::log2(10.0)), 0.01) << length;
  }
  EXPECT_EQ(hashed_bits_below("1." + std::string(41, '3')), 66U);
  EXPECT_EQ(hashed_bits_below("1." + std::string(42, '3')), 63U);
  EXPECT_EQ(hashed_bits_below(std::string(63, '1')), 0U);
  EXPECT_EQ(hashed_bits_below(std::string(100, '1')), 0U);
}

TEST(Uid, DerivedKeysStayApart) {
  const std::string key = derived_key("site key", "remap_uids research");
  EXPECT_EQ(key.size(), 32U);
  EXPECT_EQ(derived_key("site key", "remap_uids research"), key);
  EXPECT_NE(derived_key("site key", "remap_uids teaching"), key);
  EXPECT_NE(derived_key("other key", "remap_uids research"), key);
}

TEST(Uid, Md5IsThatOfDcm4che) {
  EXPECT_EQ(md5_uid("1.2.3"), "2.25.235153174557024093797895412215599142974");
  EXPECT_EQ(md5_uid("1.2.3\0"s), md5_uid("1.2.3"));
}

TEST(Uid, HashesAreAlwaysValid) {
  std::set<std::string> seen;
  for (int i = 0; i < 2000; ++i) {
    const std::string uid = "1.2." + std::to_string(i);
    for (const std::string& hash : {hash_uid("key", uid), md5_uid(uid)}) {
      EXPECT_TRUE(is_valid_uid(hash)) << hash;
      EXPECT_LE(hash.size(), 44U);
      EXPECT_TRUE(seen.insert(hash).second);
    }
  }
}

TEST(Uid, KnowsWhatTheStandardAssigned) {
  EXPECT_TRUE(is_well_known_uid("1.2.840.10008.5.1.4.1.1.2"));
  EXPECT_TRUE(is_well_known_uid("1.2.840.10008.1.2\0"s));
  EXPECT_TRUE(is_well_known_uid(" 1.2.840.10008.1.2"));
  EXPECT_FALSE(is_well_known_uid("1.2.840.100081.2"));
  EXPECT_FALSE(is_well_known_uid("1.2.840.10008"));
  EXPECT_FALSE(is_well_known_uid("1.2.840.113619.2"));
  EXPECT_FALSE(is_well_known_uid(""));
}

// By keyword, where the dictionary has it: the standard grows faster.
TEST(Uid, NeverReplacesWhatNamesNoInstance) {
  for (const char* keyword : {"SOPClassUID",
                              "ReferencedSOPClassUID",
                              "RelatedGeneralSOPClassUID",
                              "OriginalSpecializedSOPClassUID",
                              "SOPClassesInStudy",
                              "SOPClassesSupported",
                              "MediaStorageSOPClassUID",
                              "ReferencedSOPClassUIDInFile",
                              "ReferencedRelatedGeneralSOPClassUIDInFile",
                              "TransferSyntaxUID",
                              "ReferencedTransferSyntaxUIDInFile",
                              "AvailableTransferSyntaxUID",
                              "EncryptedContentTransferSyntaxUID",
                              "MACCalculationTransferSyntaxUID",
                              "CodingSchemeUID",
                              "ContextUID",
                              "ContextGroupExtensionCreatorUID",
                              "MappingResourceUID",
                              "ImplementationClassUID",
                              "PrivateInformationCreatorUID",
                              "InstanceCreatorUID",
                              "CreatorVersionUID",
                              "DeviceUID",
                              "ManufacturerDeviceClassUID",
                              "TemplateExtensionCreatorUID",
                              "TemplateExtensionOrganizationUID",
                              "RetrieveLocationUID",
                              "RepositoryUniqueID",
                              "HomeCommunityID",
                              "PertinentSOPClassesInStudy",
                              "PertinentSOPClassesInSeries"}) {
    const auto tag = parse_tag(keyword);
    ASSERT_TRUE(tag) << keyword;
    EXPECT_FALSE(is_instance_reference(*tag)) << keyword;
  }
}

TEST(Uid, ReplacesWhatNamesAnInstanceOrTheLike) {
  for (const char* keyword : {"SOPInstanceUID",
                              "StudyInstanceUID",
                              "SeriesInstanceUID",
                              "ReferencedSOPInstanceUID",
                              "FrameOfReferenceUID",
                              "ReferencedFrameOfReferenceUID",
                              "RelatedFrameOfReferenceUID",
                              "SynchronizationFrameOfReferenceUID",
                              "DimensionOrganizationUID",
                              "TrackingUID",
                              "IrradiationEventUID",
                              "ConcatenationUID",
                              "SOPInstanceUIDOfConcatenationSource",
                              "FailedSOPInstanceUIDList",
                              "PaletteColorLookupTableUID",
                              "MediaStorageSOPInstanceUID",
                              "ReferencedSOPInstanceUIDInFile",
                              "FiducialUID",
                              "StorageMediaFileSetUID",
                              "ReferencedGeneralPurposeScheduledProcedureStepTransactionUID",
                              "TransactionUID",
                              "DigitalSignatureUID",
                              "UID",
                              "ObservationUID",
                              "DoseReferenceUID",
                              "SourceFrameOfReferenceUID"}) {
    const auto tag = parse_tag(keyword);
    if (!tag) continue;
    EXPECT_TRUE(is_instance_reference(*tag)) << keyword;
  }
  EXPECT_TRUE(is_instance_reference({0x0029, 0x1010})) << "private ones too";
  EXPECT_TRUE(is_instance_reference({0x0008, 0xFFF0})) << "and those to come";
}

}  // namespace
}  // namespace sluice::dicom
