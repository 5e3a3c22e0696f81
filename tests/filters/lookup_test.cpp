#include <algorithm>
#include <chrono>
#include <filesystem>
#include <stdexcept>
#include <thread>

#include <gmock/gmock.h>
#include <sqlite3.h>

#include "tests/support/filter_runner.h"
#include "tests/support/lookup_file.h"

namespace sluice::test {
namespace {

using dicom::Tag;
using dicom::Vr;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
namespace tags = dicom::tags;

constexpr Tag kReferrer{0x0008, 0x0090};
constexpr Tag kRows{0x0028, 0x0010};

constexpr const char* kCsv =
    "patient_id,scanner,accession,referrer,note\r\n"
    "P1,CT1,A1,\"M\xC3\xBCller^J\xC3\xBCrgen\",\"said \"\"so\"\",\r\ntwice\"\r\n"
    "P1,MR1,A2,,\r\n"
    "J\xC3\xBC-2,CT1,\"A3\",Okafor^Ada,x\r\n";

struct Patient {
  std::string id = "P1";
  std::string accession;
  std::string referrer = "Nobody";
  std::string character_set = "ISO_IR 100";
};

DataSet lookup_image(const Patient& patient) {
  DataSet made;
  if (!patient.character_set.empty()) {
    made.text(tags::kSpecificCharacterSet, Vr::CS, patient.character_set);
  }
  made.uid(tags::kSopClassUid, "1.2.840.10008.5.1.4.1.1.2").uid(tags::kSopInstanceUid, "1.2.3");
  if (!patient.accession.empty()) made.text(tags::kAccessionNumber, Vr::SH, patient.accession);
  made.text(kReferrer, Vr::PN, patient.referrer);
  made.text(tags::kPatientId, Vr::LO, patient.id);
  return made.uid(tags::kStudyInstanceUid, "1.2.1").uid(tags::kSeriesInstanceUid, "1.2.2");
}

class Lookup : public testing::Test {
 protected:
  void SetUp() override { put(kCsv); }
  void put(const std::string& text) { put_file(path(), text); }
  [[nodiscard]] std::string path() const { return folder_.path("accessions.csv"); }

  [[nodiscard]] std::string options(const std::string& more = "") const {
    return "file = \"" + path() +
           "\"\nkey = { PatientID = \"patient_id\", calling_ae_title = \"scanner\" }\n"
           "set = { AccessionNumber = \"accession\", ReferringPhysicianName = \"referrer\" }\n" +
           more;
  }
  void make(const std::string& more = "") { filter_ = make_filter("lookup", options(more)); }
  Verdict run(Case& one) {
    if (!filter_) make();
    return one.apply(*filter_, *ledger_);
  }
  Verdict verdict_on(const Patient& patient) {
    Case one(lookup_image(patient));
    return run(one);
  }
  // All that is wrong with these options.
  static std::string mistakes_of(const std::string& options) {
    try {
      (void)make_filter("lookup", options);
    } catch (const std::invalid_argument& error) {
      return error.what();
    }
    return "";
  }
  // The same of a file with these columns and lines.
  std::string mistakes_in(const std::string& text, const std::string& more = "") {
    put(text);
    return mistakes_of("file = \"" + path() + "\"\nkey = { PatientID = \"id\" }\n" +
                       "set = { AccessionNumber = \"accession\", Rows = \"rows\" }\n" + more);
  }

  TemporaryFolder folder_;
  std::unique_ptr<Ledger> ledger_ = memory_ledger();
  std::unique_ptr<Filter> filter_;
};

TEST_F(Lookup, SetsWhatTheFileHasForTheKey) {
  Case one(lookup_image({.accession = "OLD"}));
  ASSERT_TRUE(is_pass(run(one)));
  EXPECT_EQ(one.instance.text(tags::kAccessionNumber), "A1");
  EXPECT_EQ(one.instance.text(kReferrer), "M\xFCller^J\xFCrgen");
  ASSERT_EQ(one.instance.changes().size(), 2U);
  EXPECT_EQ(one.instance.changes()[0].reason, "looked up");
  EXPECT_EQ(one.instance.changes()[0].before, "OLD");
  ASSERT_TRUE(one.instance.record_original_attributes());
  const Case sent(one.output());
  EXPECT_TRUE(sent.header->find(tags::kOriginalAttributesSequence));
}

TEST_F(Lookup, FindsByTheAeTitleToo) {
  const DataSet data = lookup_image({});
  const auto header = header_of(data.bytes());
  Provenance provenance = provenance_for(header);
  provenance.calling_ae_title = "MR1";
  make();
  Instance instance(provenance, header);
  ASSERT_TRUE(filter_->apply(instance, *ledger_));
  EXPECT_EQ(instance.text(tags::kAccessionNumber), "A2");
  EXPECT_EQ(instance.text(kReferrer), "Nobody") << "an empty column keeps it";
}

TEST_F(Lookup, FindsByTheCalledAeTitle) {
  put("called,accession\nSLUICE,A7\n");
  filter_ = make_filter("lookup", "file = \"" + path() +
                                      "\"\nkey = { called_ae_title = \"called\" }\n"
                                      "set = { AccessionNumber = \"accession\" }");
  Case one(lookup_image({}));
  ASSERT_TRUE(is_pass(run(one)));
  EXPECT_EQ(one.instance.text(tags::kAccessionNumber), "A7");
}

TEST_F(Lookup, ComparesKeysInUtf8WithoutPadding) {
  for (const Patient& patient : {Patient{.id = " J\xFC-2 ", .character_set = "ISO_IR 100"},
                                 Patient{.id = "J\xC3\xBC-2", .character_set = "ISO_IR 192"}}) {
    Case one(lookup_image(patient));
    ASSERT_TRUE(is_pass(run(one)));
    EXPECT_EQ(one.instance.text(tags::kAccessionNumber), "A3");
  }
}

TEST_F(Lookup, WritesIntoTheInstancesCharacterSet) {
  Case one(lookup_image({.character_set = "ISO_IR 192"}));
  ASSERT_TRUE(is_pass(run(one)));
  EXPECT_EQ(one.instance.text(kReferrer), "M\xC3\xBCller^J\xC3\xBCrgen");
}

TEST_F(Lookup, QuarantinesOrRejectsAValueWithoutAFormInTheSet) {
  for (const std::string set : {"ISO_IR 144", "", "NO SUCH SET"}) {
    Case one(lookup_image({.character_set = set}));
    const Verdict verdict = run(one);
    EXPECT_TRUE(is_quarantine(verdict)) << set;
    EXPECT_THAT(reason_of(verdict), HasSubstr("column 'referrer'"));
    EXPECT_EQ(one.instance.text(tags::kAccessionNumber), "A1") << "should a person overrule it";
    EXPECT_EQ(one.instance.text(kReferrer), "Nobody");
  }
  make("characters = \"reject\"");
  EXPECT_TRUE(is_reject(verdict_on({.character_set = "ISO_IR 144"})));
}

TEST_F(Lookup, TreatsAMissingKeyAsAsked) {
  const Patient unknown{.id = "P9"};
  Case one(lookup_image(unknown));
  EXPECT_TRUE(is_pass(run(one)));
  EXPECT_TRUE(one.instance.patch().empty());
  make("missing = \"quarantine\"");
  const Verdict verdict = verdict_on(unknown);
  EXPECT_TRUE(is_quarantine(verdict));
  EXPECT_THAT(reason_of(verdict), AllOf(HasSubstr("PatientID"), Not(HasSubstr("P9"))));
  make("missing = \"reject\"");
  EXPECT_TRUE(is_reject(verdict_on(unknown)));
  EXPECT_TRUE(is_pass(verdict_on({})));
}

TEST_F(Lookup, DoesNotFindByAnAttributeThatIsEmptyUnreadableOrTwice) {
  make("missing = \"quarantine\"");
  EXPECT_TRUE(is_quarantine(verdict_on({.id = " "})));
  EXPECT_TRUE(is_quarantine(verdict_on({.id = "J\xFC-2", .character_set = "NO SUCH SET"})));
  for (const std::string second : {"P1", "P2"}) {
    DataSet data = lookup_image({});
    data.text(tags::kPatientId, Vr::LO, second);
    Case one(data);
    EXPECT_EQ(is_pass(run(one)), second == "P1") << second;
  }
}

TEST_F(Lookup, ClearsByAnEmptyColumnOnlyWhereAsked) {
  put("patient_id,scanner,accession,referrer\nP1,CT1,,\n");
  make("empty = \"clear\"");
  Case one(lookup_image({}));
  ASSERT_TRUE(is_pass(run(one)));
  EXPECT_EQ(one.instance.texts(kReferrer), std::vector<std::string>{""});
  EXPECT_TRUE(one.instance.texts(tags::kAccessionNumber).empty()) << "what is not there stays so";
}

TEST_F(Lookup, GivesBothOfTwoElementsTheValue) {
  DataSet data = lookup_image({.accession = "X"});
  data.text(tags::kAccessionNumber, Vr::SH, "Y");
  Case one(data);
  ASSERT_TRUE(is_pass(run(one)));
  EXPECT_EQ(one.instance.texts(tags::kAccessionNumber), (std::vector<std::string>{"A1", "A1"}));
}

TEST_F(Lookup, QuarantinesWhatDoesNotFitTheVrThatTheSenderWrote) {
  DataSet data;
  data.text(tags::kSpecificCharacterSet, Vr::CS, "ISO_IR 100");
  data.add(tags::kAccessionNumber, Vr::US, std::string(2, '\1'));
  data.text(tags::kPatientId, Vr::LO, "P1");
  Case one(data);
  const Verdict verdict = run(one);
  EXPECT_TRUE(is_quarantine(verdict));
  EXPECT_THAT(reason_of(verdict), HasSubstr("column 'accession'"));
}

TEST_F(Lookup, SetsNumbers) {
  put("id;rows\nP1;512\n");
  filter_ = make_filter("lookup", "file = \"" + path() +
                                      "\"\ndelimiter = \";\"\nkey = { \"0010,0020\" = \"id\" }\n"
                                      "set = { Rows = \"rows\" }");
  Case one(lookup_image({}));
  ASSERT_TRUE(is_pass(run(one)));
  EXPECT_EQ(one.instance.text(kRows), "512");
}

TEST_F(Lookup, TellsAllMistakesOfTheOptionsAtOnce) {
  const std::string told = mistakes_of(
      "file = \"/nonexistent/a.csv\"\ndelimiter = \"::\"\n"
      "key = { PatinetID = \"a\", ReferencedStudySequence = \"b\", PatientID = \"c\", "
      "\"0010,0020\" = \"c\", StudyID = \"\" }\n"
      "set = { PixelData = \"a\", SOPInstanceUID = \"a\", SOPClassUID = \"a\", "
      "SpecificCharacterSet = \"a\", TransferSyntaxUID = \"a\", \"0010,0000\" = \"a\", "
      "\"0000,0900\" = \"a\", ReferencedImageSequence = \"a\", \"0009,1001\" = \"a\", "
      "calling_ae_title = \"a\", StudyID = 3 }\n"
      "missing = \"drop\"\nempty = \"x\"\ncharacters = \"unicode\"\nrecord_original = 1\n");
  for (const char* part : {"did you mean 'PatientID'",
                           "key: ReferencedStudySequence",
                           "key: PatientID stands there",
                           "StudyID must not be empty",
                           "set: PixelData",
                           "set: SOPInstanceUID",
                           "set: SOPClassUID",
                           "set: SpecificCharacterSet",
                           "set: TransferSyntaxUID",
                           "set: (0010,0000)",
                           "set: Status",
                           "set: ReferencedImageSequence",
                           "set: (0009,1001)",
                           "set: 'calling_ae_title'",
                           "StudyID must be a string",
                           "delimiter must be",
                           "missing must",
                           "empty must",
                           "characters must",
                           "record_original must",
                           "/nonexistent/a.csv: cannot be read: No such file"}) {
    EXPECT_THAT(told, HasSubstr(part));
  }
  EXPECT_THAT(mistakes_of("no_such = 1\nkey = {}"),
              AllOf(HasSubstr("file is missing"), HasSubstr("key needs at least"),
                    HasSubstr("set needs at least"), HasSubstr("unknown key 'no_such'")));
}

TEST_F(Lookup, TellsAllMistakesOfTheFileAtOnceAndNoValue) {
  const std::string told = mistakes_in(
      "id,accession,rows\n"
      "P1,A1,1\n"
      "P2,A2\n"
      "P3,ACCESSION-TOO-LONG,1\n"
      "\n"
      "\"P4\",\"A\n4\",many\n"
      " ,A5,1\n"
      "P1,A1,1\n"
      "P1,A9,1\n");
  for (const char* part :
       {"line 3: has 2 columns, where the first line names 3",
        "line 4: column 'accession' is no value of VR SH", "line 6: column 'accession'",
        "line 6: column 'rows' is no value of VR US", "line 8: column 'id' is empty",
        "line 10: the key of line 2 again, with other values"}) {
    EXPECT_THAT(told, HasSubstr(part));
  }
  EXPECT_THAT(told, Not(HasSubstr("line 9")));
  EXPECT_THAT(told, AllOf(Not(HasSubstr("LONG")), Not(HasSubstr("many")), Not(HasSubstr("A9"))));
}

TEST_F(Lookup, TellsWhatIsWrongWithAFileAsAWhole) {
  EXPECT_THAT(mistakes_in("id,acession\n"),
              AllOf(HasSubstr("no column 'accession'"), HasSubstr("did you mean 'acession'"),
                    HasSubstr("no column 'rows'")));
  EXPECT_THAT(mistakes_in("id,id,accession,rows\n"), HasSubstr("column 'id' stands there twice"));
  EXPECT_THAT(mistakes_in(""), HasSubstr("is empty"));
  EXPECT_THAT(mistakes_in("id,accession,rows\nP1,A1,1\nP2,\xFC,1\n"),
              HasSubstr("line 3: is no UTF-8"));
  EXPECT_THAT(mistakes_in("id,accession,rows\nP1,\"A1,1\n"),
              HasSubstr("line 2: a quote is opened"));
  std::string many = "id,accession,rows\n";
  for (int i = 0; i < 30; ++i) many += "P1\n";
  EXPECT_THAT(mistakes_in(many), AllOf(HasSubstr("line 21: "), Not(HasSubstr("line 22: ")),
                                       HasSubstr("and 10 more mistakes")));
  EXPECT_THAT(mistakes_in("id,accession,rows\n", "table = \"t\"\ndelimiter = \";\""),
              AllOf(HasSubstr("is no SQLite database"), HasSubstr("only without a table")));
  EXPECT_EQ(mistakes_in("\xEF\xBB\xBFid,accession,rows\nP1,A1,1\n"), "") << "a byte order mark";
  EXPECT_THAT(mistakes_of("file = \"/\"\nkey = { PatientID = \"id\" }\n"
                          "set = { StudyID = \"a\" }"),
              HasSubstr("/: is no file"));
}

TEST_F(Lookup, NeedsATableOfItsOwn) {
  const auto lookup = std::ranges::find(filter_types(), "lookup", &FilterType::type);
  ASSERT_NE(lookup, filter_types().end());
  EXPECT_FALSE(lookup->has_defaults);
}

TEST_F(Lookup, TakesAChangedFileWithoutARestartAndKeepsWhatWasGiven) {
  using std::chrono::system_clock;
  make();
  const DataSet data = lookup_image({});
  const auto header = header_of(data.bytes());
  Provenance provenance = provenance_for(header);
  const auto accession = [&](system_clock::time_point received_at) {
    provenance.received_at = received_at;
    Instance instance(provenance, header);
    EXPECT_TRUE(filter_->apply(instance, *ledger_));
    return instance.text(tags::kAccessionNumber);
  };
  const auto first = system_clock::now();
  EXPECT_EQ(accession(first), "A1");
  put("patient_id,scanner,accession,referrer\nP1,CT1,B1,\n");
  const auto deadline = first + std::chrono::seconds(20);
  while (accession(system_clock::now()) != "B1") {
    ASSERT_LT(system_clock::now(), deadline);
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  EXPECT_EQ(accession(first), "A1");
  make();  // as after a restart
  EXPECT_EQ(accession(first), "A1");
  EXPECT_EQ(accession(system_clock::now()), "B1");
}

TEST_F(Lookup, RemembersThatAKeyWasMissingUnlessItsNameIsAnother) {
  using std::chrono::system_clock;
  make("missing = \"quarantine\"");
  const DataSet data = lookup_image({.id = "P7"});
  const auto header = header_of(data.bytes());
  Provenance provenance = provenance_for(header);
  const auto passes = [&](system_clock::time_point received_at) {
    provenance.received_at = received_at;
    Instance instance(provenance, header);
    const auto verdict = filter_->apply(instance, *ledger_);
    return verdict && std::holds_alternative<Pass>(*verdict);
  };
  const auto first = system_clock::now();
  EXPECT_FALSE(passes(first));
  put("patient_id,scanner,accession,referrer\nP7,CT1,A7,\n");
  make("missing = \"quarantine\"");  // as after a restart
  EXPECT_FALSE(passes(first)) << "a retry";
  EXPECT_TRUE(passes(system_clock::now())) << "sent again";
  filter_ = make_filter("lookup", options("missing = \"quarantine\""), "lookup2");
  EXPECT_TRUE(passes(first)) << "under another name";
}

class LookupInADatabase : public Lookup {
 protected:
  void SetUp() override {
    run_sql(
        "CREATE TABLE \"or\"\"ders\"(id INTEGER, acc TEXT, rows REAL);"
        "INSERT INTO \"or\"\"ders\" VALUES (1001, 'A1', NULL), (1002, NULL, 2);"
        "CREATE VIEW orders AS SELECT id, acc AS accession FROM \"or\"\"ders\"");
  }
  [[nodiscard]] std::string database() const { return folder_.path("orders.db"); }
  void run_sql(const std::string& sql) const {
    sqlite3* db = nullptr;
    ASSERT_EQ(sqlite3_open(database().c_str(), &db), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK)
        << sqlite3_errmsg(db);
    sqlite3_close(db);
  }
  [[nodiscard]] std::string in(const std::string& table, const std::string& column) const {
    return "file = \"" + database() + "\"\ntable = '" + table +
           "'\nkey = { PatientID = \"id\" }\nset = { AccessionNumber = \"" + column + "\" }";
  }
  std::string accession(const std::string& patient_id,
                        std::chrono::system_clock::time_point received_at) {
    const DataSet data = lookup_image({.id = patient_id, .accession = "OLD"});
    const auto header = header_of(data.bytes());
    Provenance provenance = provenance_for(header);
    provenance.received_at = received_at;
    Instance instance(provenance, header);
    EXPECT_TRUE(filter_->apply(instance, *ledger_));
    return instance.text(tags::kAccessionNumber);
  }
};

TEST_F(LookupInADatabase, SetsWhatATableOrViewHas) {
  const auto now = std::chrono::system_clock::now() + std::chrono::hours(1);
  for (const auto& [table, column] : {std::pair{"or\"ders", "acc"}, {"orders", "accession"}}) {
    filter_ = make_filter("lookup", in(table, column), table);
    EXPECT_EQ(accession("1001", now), "A1");
    EXPECT_EQ(accession("1002", now), "OLD") << "NULL is empty";
    EXPECT_EQ(accession("1003", now), "OLD");
  }
}

TEST_F(LookupInADatabase, TellsItsMistakes) {
  EXPECT_THAT(mistakes_of(in("nothing", "acc")), HasSubstr("has no table or view 'nothing'"));
  EXPECT_THAT(mistakes_of(in("orders", "acession")), HasSubstr("did you mean 'accession'"));
  run_sql(
      "INSERT INTO \"or\"\"ders\" VALUES (1001, 'A7', 1), (NULL, 'A8', 1), "
      "(1004, 'ACCESSION-TOO-LONG', 1), (1005, CAST(x'FC' AS TEXT), 1)");
  EXPECT_THAT(mistakes_of(in("orders", "accession")),
              AllOf(HasSubstr("row 3: the key of row 1 again"), HasSubstr("row 4: column 'id'"),
                    HasSubstr("row 5: column 'accession'"), HasSubstr("row 6: is no UTF-8")));
}

TEST_F(LookupInADatabase, TakesWhatAnotherProgramWritesMeanwhile) {
  for (const std::string mode : {"DELETE", "WAL"}) {
    run_sql("PRAGMA journal_mode = " + mode +
            "; UPDATE \"or\"\"ders\" SET acc = 'A1' WHERE id = 1001");
    sqlite3* writer = nullptr;  // stays open, so that the write-ahead log stays there
    ASSERT_EQ(sqlite3_open(database().c_str(), &writer), SQLITE_OK);
    filter_ = make_filter("lookup", in("orders", "accession"), mode);
    const auto first = std::chrono::system_clock::now();
    EXPECT_EQ(accession("1001", first), "A1");
    EXPECT_EQ(sqlite3_exec(writer, "UPDATE \"or\"\"ders\" SET acc = 'B1' WHERE id = 1001", nullptr,
                           nullptr, nullptr),
              SQLITE_OK);
    const auto deadline = first + std::chrono::seconds(20);
    while (accession("1001", std::chrono::system_clock::now()) != "B1") {
      ASSERT_LT(std::chrono::system_clock::now(), deadline);
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    EXPECT_EQ(accession("1001", first), "A1");
    sqlite3_close(writer);
  }
}

TEST_F(LookupInADatabase, AtRestIsReadWithoutATrace) {
  run_sql("PRAGMA journal_mode = WAL");
  std::filesystem::last_write_time(
      database(), std::filesystem::file_time_type::clock::now() - std::chrono::hours(1));
  filter_ = make_filter("lookup", in("orders", "accession"));
  EXPECT_FALSE(std::filesystem::exists(database() + "-wal"));
  EXPECT_FALSE(std::filesystem::exists(database() + "-shm"));
}

// Built and read as a whole, quotes and line breaks included; and each key is found.
TEST_F(Lookup, TakesAHundredThousandLines) {
  constexpr int kLines = 100'000;
  std::string text = "patient_id,scanner,accession,referrer,note\r\n";
  for (int i = 0; i < kLines; ++i) {
    const std::string number = std::to_string(i);
    text.append("P").append(number).append(",CT1,A").append(number);
    text.append(",\"M\xC3\xBCller^J\xC3\xBCrgen, ").append(number);
    text.append("\",\"a \"\"note\"\"\r\nof two lines\"\r\n");
  }
  put(text);
  const auto begun = std::chrono::steady_clock::now();
  make("missing = \"reject\"");
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::steady_clock::now() - begun);
  RecordProperty("milliseconds", static_cast<int>(took.count()));
  for (const int i : {0, 1, 4711, kLines - 1}) {
    Case one(lookup_image({.id = "P" + std::to_string(i)}));
    ASSERT_TRUE(is_pass(run(one)));
    EXPECT_EQ(one.instance.text(tags::kAccessionNumber), "A" + std::to_string(i));
  }
  EXPECT_TRUE(is_reject(verdict_on({.id = "P" + std::to_string(kLines)})));
}

}  // namespace
}  // namespace sluice::test
