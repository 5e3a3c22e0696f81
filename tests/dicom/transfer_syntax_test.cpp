#include "gateway/dicom/transfer_syntax.h"

#include <algorithm>
#include <set>
#include <string>

#include <gtest/gtest.h>

#include "gateway/dicom/sop_class.h"

namespace sluice::dicom {
namespace {

void expect_syntax(std::string_view uid, bool explicit_vr, bool big_endian, bool deflated,
                   bool encapsulated) {
  const TransferSyntax syntax = transfer_syntax(uid);
  EXPECT_EQ(syntax.uid, uid);
  EXPECT_EQ(syntax.explicit_vr, explicit_vr) << uid;
  EXPECT_EQ(syntax.big_endian, big_endian) << uid;
  EXPECT_EQ(syntax.deflated, deflated) << uid;
  EXPECT_EQ(syntax.encapsulated, encapsulated) << uid;
}

TEST(TransferSyntax, KnowsTheFourThatAreNotEncapsulated) {
  expect_syntax("1.2.840.10008.1.2", false, false, false, false);
  expect_syntax("1.2.840.10008.1.2.1", true, false, false, false);
  expect_syntax("1.2.840.10008.1.2.2", true, true, false, false);
  expect_syntax("1.2.840.10008.1.2.1.99", true, false, true, false);
}

TEST(TransferSyntax, TakesEveryOtherForEncapsulatedExplicitLittleEndian) {
  expect_syntax("1.2.840.10008.1.2.4.50", true, false, false, true);
  expect_syntax("1.2.840.10008.1.2.5", true, false, false, true);
  expect_syntax("1.2.3.4.5", true, false, false, true);
}

TEST(TransferSyntax, KnowsSomeThatCannotBeRead) {
  for (const char* uid : {"1.2.840.113619.5.2", "1.2.840.10008.1.20", "1.2.840.10008.1.2.4.95",
                          "1.2.840.10008.1.2.4.205", "1.2.840.10008.1.2.6.1"}) {
    EXPECT_FALSE(is_readable(uid)) << uid;
  }
  for (const char* uid : {"1.2.840.10008.1.2", "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.94",
                          "1.2.840.10008.1.2.4.201", "1.2.3.4.5"}) {
    EXPECT_TRUE(is_readable(uid)) << uid;
  }
}

TEST(TransferSyntax, ListsEachThatCanBeReadOnce) {
  const auto listed = readable_transfer_syntaxes();
  EXPECT_EQ(std::set<std::string>(listed.begin(), listed.end()).size(), listed.size());
  for (const std::string& uid : listed) EXPECT_TRUE(is_readable(uid)) << uid;
  for (const char* uid :
       {"1.2.840.10008.1.2", "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2",
        "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.108", "1.2.840.10008.1.2.5"}) {
    EXPECT_NE(std::ranges::find(listed, uid), listed.end()) << uid;
  }
}

TEST(SopClass, ListsEachForStorageOnce) {
  const auto listed = storage_sop_classes();
  EXPECT_EQ(std::set<std::string>(listed.begin(), listed.end()).size(), listed.size());
  EXPECT_NE(std::ranges::find(listed, "1.2.840.10008.5.1.4.1.1.2"), listed.end());
  EXPECT_EQ(std::ranges::find(listed, "1.2.840.10008.1.1"), listed.end()) << "Verification";
  for (const std::string& uid : listed) EXPECT_NE(sop_class_name(uid), uid);
  EXPECT_EQ(sop_class_name("1.2.840.10008.5.1.4.1.1.2"), "CTImageStorage");
  EXPECT_EQ(sop_class_name("1.2.3.4.5"), "1.2.3.4.5");
}

TEST(TransferSyntax, HasANameOrItsUid) {
  EXPECT_EQ(transfer_syntax_name("1.2.840.10008.1.2"), "Little Endian Implicit");
  EXPECT_EQ(transfer_syntax_name("1.2.840.10008.1.2.4.50"), "JPEG Baseline");
  EXPECT_EQ(transfer_syntax_name("1.2.3.4.5"), "1.2.3.4.5");
  EXPECT_EQ(transfer_syntax_name(""), "");
}

}  // namespace
}  // namespace sluice::dicom
