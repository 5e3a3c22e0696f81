#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <vector>

#include <gmock/gmock.h>

#include "gateway/dicom/deflate.h"
#include "gateway/dicom/uid.h"
#include "tests/support/filter_runner.h"
#include "tests/support/temporary_folder.h"

namespace sluice::test::remapping {  // beside the names of other files
namespace {

using dicom::ElementIndex;
using dicom::Header;
using dicom::Tag;
using dicom::Vr;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
namespace tags = dicom::tags;

constexpr Tag kFailedSopInstanceUidList{0x0008, 0x0058};
constexpr Tag kReferencedStudySequence{0x0008, 0x1110};
constexpr Tag kReferencedSopClassUid{0x0008, 0x1150};
constexpr Tag kDeviceUid{0x0018, 0x1002};
constexpr Tag kFrameOfReferenceUid{0x0020, 0x0052};
constexpr Tag kPrivateUid{0x0009, 0x1010};
const std::string kRoot = "1.2.826.0.1.3680043.10.999";

// Of what is sent back, later than anything in the ledger.
const Time kLater = std::chrono::system_clock::now() + std::chrono::hours(1);

// The values of all UI attributes by path; of a path that comes twice, all.
using Uids = std::map<std::string, std::vector<std::string>>;
Uids uids_of(const Header& header, bool references) {
  Uids uids;
  for (ElementIndex index = 0; index < header.elements().size(); ++index) {
    if (header[index].known_vr() != Vr::UI) continue;
    if (dicom::is_instance_reference(header[index].tag) != references) continue;
    const std::string text = dicom::value_to_text(Vr::UI, header.value(index).value(), false);
    for (std::size_t begin = 0; begin <= text.size();) {
      const std::size_t end = std::min(text.find('\\', begin), text.size());
      uids[header.path(index)].emplace_back(dicom::trim_uid(text.substr(begin, end - begin)));
      begin = end + 1;
    }
  }
  return uids;
}

class RemapUids : public testing::Test {
 protected:
  void use(std::string_view options, const std::string& name = "research") {
    filter_ = make_filter("remap_uids", options, name);
  }
  // What the filter makes of an image with this Frame of Reference UID.
  std::string remapped(std::string_view uid, Time received_at = kReceivedAt) {
    DataSet made = image("1.2.3", "1.2.4", "1.2.5", "1");
    made.uid(kFrameOfReferenceUid, uid);
    Case one(made.bytes(), std::string(dicom::kExplicitVrLittleEndian), received_at);
    EXPECT_TRUE(is_pass(one.apply(*filter_, *ledger_)));
    return one.instance.text(kFrameOfReferenceUid);
  }

  std::unique_ptr<Filter> filter_ = make_filter("remap_uids", "", "research");
  std::unique_ptr<Ledger> ledger_ = memory_ledger();
};

TEST_F(RemapUids, ReplacesEveryValueAtEveryDepth) {
  DataSet item;
  item.uid(tags::kReferencedSopInstanceUid, "1.2.4");
  DataSet inner;
  inner.sequence(kReferencedStudySequence, {item});
  DataSet past;
  past.uid(tags::kStudyInstanceUid, "1.2.4");
  DataSet record;
  record.sequence(tags::kModifiedAttributesSequence, {past});
  DataSet made = image("1.2.3", "1.2.4", "1.2.5", "1");
  made.uid(kFailedSopInstanceUidList, "1.2.3\\1.2.4\\1.2.6");
  made.uid(kPrivateUid, "1.2.4");
  made.sequence(kReferencedStudySequence, {DataSet(), inner});
  made.sequence(tags::kOriginalAttributesSequence, {record});
  Case one(made);
  ASSERT_TRUE(is_pass(one.apply(*filter_, *ledger_)));
  const std::string output = one.output();
  EXPECT_EQ(output.find("1.2.4"), std::string::npos);
  const Header after = header_of(output);
  const std::string instance = one.instance.text(tags::kSopInstanceUid);
  const std::string study = one.instance.text(tags::kStudyInstanceUid);
  const Uids uids = uids_of(after, true);
  const auto of = [&](const std::string& path) { return uids.at(path); };
  EXPECT_EQ(of("ReferencedStudySequence[1].ReferencedStudySequence[0].ReferencedSOPInstanceUID"),
            std::vector{study});
  EXPECT_EQ(of("OriginalAttributesSequence[0].ModifiedAttributesSequence[0].StudyInstanceUID"),
            std::vector{study});
  EXPECT_EQ(of("(0009,1010)"), std::vector{study});
  EXPECT_EQ(of("FailedSOPInstanceUIDList")[0], instance);
  EXPECT_EQ(of("FailedSOPInstanceUIDList")[1], study);
  for (const auto& [path, values] : uids) {
    for (const std::string& uid : values) EXPECT_TRUE(uid.starts_with("2.25.")) << path << uid;
  }
  for (const Change& change : one.instance.changes()) EXPECT_EQ(change.reason, "remapped");
}

TEST_F(RemapUids, ReplacesNoClassDeviceOrWellKnownUid) {
  DataSet item;
  item.uid(kReferencedSopClassUid, "1.2.3.4");
  DataSet made = image("1.2.3", "1.2.4", "1.2.5", "1");
  made.uid(kDeviceUid, "1.2.9").uid(kFrameOfReferenceUid, "1.2.840.10008.1.4.1.1");
  made.uid(kFailedSopInstanceUidList, "1.2.840.10008.1.4.1.2\\1.2.3");
  made.sequence(kReferencedStudySequence, {item});
  Case one(made);
  ASSERT_TRUE(is_pass(one.apply(*filter_, *ledger_)));
  ASSERT_THAT(one.instance.changes(), SizeIs(4));  // the three identifiers, and one in the list
  EXPECT_EQ(one.instance.text(kDeviceUid), "1.2.9");
  EXPECT_EQ(one.instance.text(kFrameOfReferenceUid), "1.2.840.10008.1.4.1.1");
  EXPECT_EQ(one.instance.text(kFailedSopInstanceUidList),
            "1.2.840.10008.1.4.1.2\\" + one.instance.text(tags::kSopInstanceUid));
  EXPECT_EQ(uids_of(header_of(one.output()), false), uids_of(*one.header, false));
}

TEST_F(RemapUids, LeavesEmptyValuesAndReplacesInvalidOnesByTheirTrimmedText) {
  EXPECT_EQ(remapped(""), "");
  EXPECT_EQ(remapped("  "), "");
  const std::string key = dicom::derived_key(kSiteKey, "remap_uids research");
  for (const char* broken : {"1.02", "REM SAMPLES 1", " 1.02 ", "1..2", "1.2.a"}) {
    EXPECT_EQ(remapped(broken), dicom::hash_uid(key, broken)) << broken;
  }
  EXPECT_EQ(remapped(" 1.02"), remapped("1.02"));
  DataSet made = image("1.2.3", "1.2.4", "1.2.5", "1");
  made.add(kFailedSopInstanceUidList, Vr::UI, "\\1.2.3\\ \\1.2.4");
  Case one(made);
  ASSERT_TRUE(is_pass(one.apply(*filter_, *ledger_)));
  EXPECT_EQ(one.instance.text(kFailedSopInstanceUidList),
            "\\" + one.instance.text(tags::kSopInstanceUid) + "\\\\" +
                one.instance.text(tags::kStudyInstanceUid));
}

TEST_F(RemapUids, ReplacesBothOfTwoElementsWithOneTag) {
  DataSet made = image("1.2.3", "1.2.4", "1.2.5", "1");
  made.uid(tags::kStudyInstanceUid, "1.2.7");
  Case one(made);
  ASSERT_TRUE(is_pass(one.apply(*filter_, *ledger_)));
  const std::string output = one.output();
  const auto studies = Case(output).instance.texts(tags::kStudyInstanceUid);
  ASSERT_THAT(studies, SizeIs(2));
  EXPECT_NE(studies[0], studies[1]);
  for (const std::string& study : studies) EXPECT_TRUE(study.starts_with("2.25.")) << study;
}

TEST_F(RemapUids, IsAPureFunctionOfKeyAndUid) {
  const std::string first = remapped("1.2.9");
  ledger_ = memory_ledger();
  use("");
  EXPECT_EQ(remapped("1.2.9"), first) << "on another gateway";
  use("", "teaching");
  EXPECT_NE(remapped("1.2.9"), first) << "no two filters agree";
  EXPECT_NE(dicom::hash_uid(kSiteKey, "1.2.9"), first) << "nor with sanitize_uids";
}

TEST_F(RemapUids, MakesUidsBelowARootOfTheSites) {
  use("prefix = \"" + kRoot + "\"");
  const std::string uid = remapped("1.2.9");
  EXPECT_TRUE(uid.starts_with(kRoot + ".")) << uid;
  EXPECT_TRUE(dicom::is_valid_uid(uid)) << uid;
}

TEST_F(RemapUids, TakesTheKeyOfAFileWithoutTheWhiteSpaceAtItsEnd) {
  const TemporaryFolder folder;
  const std::string secret(32, 'k');
  const auto use_key = [&](const std::string& bytes, const std::string& name) {
    const std::string path = folder.path("key");
    std::ofstream(path, std::ios::binary) << bytes;
    std::filesystem::permissions(
        path, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
    use("key_file = \"" + path + "\"", name);
  };
  use_key(secret + " \r\n\n", "research");
  EXPECT_EQ(remapped("1.2.9"), dicom::hash_uid(secret, "1.2.9"));
  use_key(secret, "teaching");
  EXPECT_EQ(remapped("1.2.9"), dicom::hash_uid(secret, "1.2.9")) << "whatever its name";
  use_key(" " + secret, "research");
  EXPECT_EQ(remapped("1.2.9"), dicom::hash_uid(" " + secret, "1.2.9"));
  EXPECT_THROW(use_key(std::string(31, 'k') + "\n", "research"), std::invalid_argument);
  EXPECT_THROW(use_key(std::string(5000, 'k'), "research"), std::invalid_argument);
  std::filesystem::permissions(folder.path("key"), std::filesystem::perms::others_read,
                               std::filesystem::perm_options::add);
  EXPECT_THROW(use("key_file = \"" + folder.path("key") + "\""), std::invalid_argument);
  EXPECT_THROW(use("key_file = \"" + folder.path() + "\""), std::invalid_argument);
  EXPECT_THROW(use("key_file = \"" + folder.path("none") + "\""), std::invalid_argument);
}

TEST_F(RemapUids, KeepsTheAttributesItIsToldTo) {
  use("keep = [\"FrameOfReferenceUID\", \"(0020,000D)\", \"(0009,1010)\"]");
  DataSet item;
  item.uid(kFrameOfReferenceUid, "1.2.9").uid(tags::kReferencedSopInstanceUid, "1.2.4");
  DataSet made = image("1.2.3", "1.2.4", "1.2.5", "1");
  made.uid(kPrivateUid, "1.2.8").sequence(kReferencedStudySequence, {item});
  Case one(made);
  ASSERT_TRUE(is_pass(one.apply(*filter_, *ledger_)));
  EXPECT_EQ(one.instance.text(tags::kStudyInstanceUid), "1.2.4");
  const Uids uids = uids_of(header_of(one.output()), true);
  EXPECT_EQ(uids.at("(0009,1010)").front(), "1.2.8");
  EXPECT_EQ(uids.at("ReferencedStudySequence[0].FrameOfReferenceUID").front(), "1.2.9");
  EXPECT_NE(uids.at("ReferencedStudySequence[0].ReferencedSOPInstanceUID").front(), "1.2.4");
}

TEST_F(RemapUids, LeavesAsItIsWhatHasBeenThroughAlready) {
  const std::string once = remapped("1.2.9");
  EXPECT_EQ(remapped(once), once);
  EXPECT_EQ(remapped("1.2.9"), once);
  EXPECT_THAT(*ledger_->lookup(once), SizeIs(1));
  use("remember = false");
  EXPECT_EQ(remapped("1.2.9"), once);
  EXPECT_NE(remapped(once), once) << "it cannot know";
}

TEST_F(RemapUids, RemembersWhatItReplacedUnlessToldNotTo) {
  const std::string after = remapped("1.2.9");
  const auto found = *ledger_->lookup("1.2.9");
  ASSERT_THAT(found, SizeIs(1));
  EXPECT_EQ(found[0].after, after);
  EXPECT_EQ(found[0].scope, "research");
  EXPECT_EQ(found[0].reason, "remapped");
  ledger_ = memory_ledger();
  use("remember = false");
  (void)remapped("1.2.9");
  EXPECT_THAT(*ledger_->lookup("1.2.9"), IsEmpty());
}

// Behind filters that record: what they say of other attributes stays.
TEST_F(RemapUids, LeavesNoOldUidInOriginalAttributes) {
  const auto sanitize = make_filter("sanitize_uids", "");
  const auto renumber = make_filter("remap_series_number", "");
  DataSet made = image("1.2.3", "1.02.4", "1.2.5", "");
  Case one(made);
  ASSERT_TRUE(is_pass(one.apply(*sanitize, *ledger_)));
  ASSERT_TRUE(is_pass(one.apply(*renumber, *ledger_)));
  ASSERT_TRUE(is_pass(one.apply(*filter_, *ledger_)));
  // As a gateway does that gives the instance a new UID.
  ASSERT_TRUE(one.instance.change(tags::kSopInstanceUid, "2.25.7", "other", Record::coerced));
  ASSERT_TRUE(one.instance.record_original_attributes());
  const std::string output = one.output();
  for (const char* old : {"1.2.3", "1.02.4", "1.2.5"}) {
    EXPECT_EQ(output.find(old), std::string::npos) << old;
  }
  EXPECT_TRUE(header_of(output).find(tags::kOriginalAttributesSequence));
}

TEST_F(RemapUids, FollowsWithTheInstanceUidThatTheCommandHad) {
  Case one(image("1.2.3", "1.2.4", "1.2.5", "1"));
  ASSERT_TRUE(is_pass(one.apply(*filter_, *ledger_)));
  EXPECT_FALSE(one.instance.has_uid_mismatch()) << "as received, both are one";
  EXPECT_TRUE(one.instance.text(tags::kSopInstanceUid).starts_with("2.25."));
}

TEST_F(RemapUids, RestoresWhatTheFilterItNamesReplaced) {
  const std::string after = remapped("1.2.9");
  use("", "teaching");
  const std::string other = remapped("1.2.9");
  use("mode = \"restore\"\nof = \"research\"", "back");
  EXPECT_EQ(remapped(after, kLater), "1.2.9");
  EXPECT_EQ(remapped(other, kLater), other);
  EXPECT_EQ(remapped("1.2.9", kLater), "1.2.9");
  EXPECT_EQ(remapped("1.2.10", kLater), "1.2.10");
  EXPECT_EQ(remapped(after, kReceivedAt), after) << "it was not known when that came in";
}

TEST_F(RemapUids, RestoresNothingThatHasTwoOriginals) {
  ASSERT_TRUE(ledger_->record_uid("merge", "1.2.8", "1.2.9", "merged"));
  ASSERT_TRUE(ledger_->record_uid("merge", "1.2.7", "1.2.9", "merged"));
  use("mode = \"restore\"\nof = \"merge\"", "back");
  DataSet made = image("1.2.3", "1.2.9", "1.2.5", "1");
  Case one(made.bytes(), std::string(dicom::kExplicitVrLittleEndian), kLater);
  const Verdict verdict = one.apply(*filter_, *ledger_);
  ASSERT_TRUE(is_quarantine(verdict));
  EXPECT_EQ(reason_of(verdict), "StudyInstanceUID: more than one original in the ledger");
}

TEST_F(RemapUids, TellsEveryMistakeAtOnce) {
  const auto mistakes = [](const std::string& options) {
    try {
      (void)make_filter("remap_uids", options);
    } catch (const std::invalid_argument& mistake) {
      return std::string(mistake.what());
    }
    return std::string();
  };
  EXPECT_EQ(mistakes("mode = \"restore\"\nof = \"x\""), "");
  EXPECT_EQ(mistakes("prefix = \"1." + std::string(41, '3') + "\""), "");
  EXPECT_THAT(mistakes("mode = \"restore\""), HasSubstr("needs `of`"));
  const std::string several = mistakes(
      "mode = \"restore\"\nof = \"\"\nkey_file = \"\"\nprefix = \"\"\nremember = true\nkeep = []");
  for (const char* key : {"of", "key_file", "prefix", "remember", "keep"}) {
    EXPECT_THAT(several, HasSubstr(key));
  }
  EXPECT_THAT(mistakes("of = \"research\""), HasSubstr("only with mode = \"restore\""));
  for (const char* root : {"1", "1.02", "1.2.", "3.1", "one", "1.2.3 "}) {
    EXPECT_THAT(mistakes("prefix = \"" + std::string(root) + "\""), HasSubstr("no UID root"));
  }
  EXPECT_THAT(mistakes("prefix = \"1.2.840.10008\""), HasSubstr("DICOM standard"));
  EXPECT_THAT(mistakes("prefix = \"1.2.840.10008.5\""), HasSubstr("DICOM standard"));
  EXPECT_EQ(mistakes("prefix = \"1.2.840.100081\""), "");
  EXPECT_THAT(mistakes("prefix = \"2.25\""), HasSubstr("UUIDs"));
  EXPECT_THAT(mistakes("prefix = \"2.25.7\""), HasSubstr("UUIDs"));
  EXPECT_THAT(mistakes("prefix = \"1." + std::string(42, '3') + "\""), HasSubstr("too long"));
  EXPECT_THAT(mistakes("keep = [\"FrameOfRefernceUID\", \"PatientID\", \"SOPClassUID\"]"),
              testing::AllOf(HasSubstr("FrameOfReferenceUID"), HasSubstr("PatientID is no"),
                             HasSubstr("SOPClassUID is never replaced")));
}

// Real files, inflated where they are deflated.
std::vector<FileDataSet> fixtures() {
  std::vector<FileDataSet> read;
  // A data set without a head, which names its study, series and slices several times.
  read.push_back({"rtstruct.dcm", std::string(dicom::kImplicitVrLittleEndian),
                  read_file(fixture("rtstruct.dcm"))});
  for (const std::string& path : all_fixtures()) {
    auto file = file_data_set(path);
    if (!file || file->transfer_syntax_uid.empty()) continue;
    const auto syntax = dicom::transfer_syntax(file->transfer_syntax_uid);
    if (syntax.deflated) {
      dicom::Inflater inflater(1ULL << 30U, 1100);
      std::string plain;
      if (!inflater.inflate(std::as_bytes(std::span(file->bytes)), plain)) continue;
      *file = {file->name, std::string(dicom::kExplicitVrLittleEndian), plain};
    }
    if (!dicom::scan(std::as_bytes(std::span(file->bytes)),
                     dicom::transfer_syntax(file->transfer_syntax_uid))) {
      continue;
    }
    read.push_back(std::move(*file));
  }
  return read;
}

TEST_F(RemapUids, GivesEveryReferenceOfRealFilesTheSameNewUid) {
  std::map<std::string, std::string> new_uids;
  std::map<std::string, std::size_t> references;  // by file
  for (const FileDataSet& file : fixtures()) {
    Case one(file.bytes, file.transfer_syntax_uid);
    ASSERT_TRUE(is_pass(one.apply(*filter_, *ledger_))) << file.name;
    const Header after = header_of(one.output(), file.transfer_syntax_uid);
    EXPECT_EQ(uids_of(after, false), uids_of(*one.header, false)) << file.name;
    const Uids old = uids_of(*one.header, true);
    const Uids found = uids_of(after, true);
    ASSERT_EQ(found.size(), old.size()) << file.name;
    for (const auto& [path, uids] : old) {
      ASSERT_EQ(found.at(path).size(), uids.size()) << file.name << ' ' << path;
      for (std::size_t i = 0; i < uids.size(); ++i) {
        const std::string& now = found.at(path)[i];
        if (uids[i].empty() || dicom::is_well_known_uid(uids[i])) {
          EXPECT_EQ(now, uids[i]) << file.name << ' ' << path;
          continue;
        }
        EXPECT_TRUE(now.starts_with("2.25.") && dicom::is_valid_uid(now)) << file.name << path;
        EXPECT_NE(now, uids[i]) << file.name << ' ' << path;
        EXPECT_EQ(new_uids.try_emplace(uids[i], now).first->second, now) << file.name << path;
        ++references[file.name];
      }
    }
  }
  std::set<std::string> distinct;
  for (const auto& [before, after] : new_uids) distinct.insert(after);
  EXPECT_EQ(distinct.size(), new_uids.size());
  EXPECT_GT(references["rtstruct.dcm"], 4U);
  EXPECT_GT(references["reportsi.dcm"], 4U);
  EXPECT_GE(references["UN_sequence.dcm"], 3U);
}

// What cannot come back to the byte: padding is trimmed, by this filter as by any other.
bool is_free_of_padding(const Header& header) {
  for (ElementIndex index = 0; index < header.elements().size(); ++index) {
    if (header[index].known_vr() != Vr::UI || header[index].length == 0) continue;
    const auto value = header.value(index).value();
    if (value.size() % 2 != 0) return false;
    if (dicom::find_uid_defect(value.substr(value.rfind('\\') + 1)) == dicom::UidDefect::padding &&
        value.find('\\') == std::string::npos) {
      return false;
    }
  }
  return true;
}

// Group lengths and lengths of sequences included.
TEST_F(RemapUids, RestoreGivesTheBytesOfTheOriginal) {
  const auto restore = make_filter("remap_uids", "mode = \"restore\"\nof = \"research\"", "back");
  const std::vector<FileDataSet> files = fixtures();
  int changed = 0;
  int compared = 0;
  for (const std::string& options : {std::string(), "prefix = \"" + kRoot + "\""}) {
    use(options);
    ledger_ = memory_ledger();
    std::map<std::string, std::string> copies;
    for (const FileDataSet& file : files) {
      Case out(file.bytes, file.transfer_syntax_uid);
      ASSERT_TRUE(is_pass(out.apply(*filter_, *ledger_))) << file.name;
      copies[file.name] = out.output();
      EXPECT_EQ(copies[file.name] != file.bytes, !out.instance.changes().empty()) << file.name;
      changed += out.instance.changes().empty() ? 0 : 1;
    }
    for (const FileDataSet& file : files) {
      Case back(copies[file.name], file.transfer_syntax_uid, kLater);
      ASSERT_TRUE(is_pass(back.apply(*restore, *ledger_))) << file.name;
      if (!is_free_of_padding(header_of(file.bytes, file.transfer_syntax_uid))) continue;
      EXPECT_TRUE(back.output() == file.bytes) << file.name;
      ++compared;
    }
  }
  EXPECT_GT(changed, 100);
  EXPECT_GT(compared, 100);
}

}  // namespace
}  // namespace sluice::test::remapping
