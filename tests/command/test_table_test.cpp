// [[test]] tables: what they may say, and what is made of their attributes.
#include "gateway/command/test_table.h"

#include <algorithm>
#include <fstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "gateway/command/setup.h"
#include "tests/support/fixtures.h"
#include "tests/support/temporary_folder.h"

namespace sluice::command {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr const char* kAround =
    "[[listener]]\nname = \"in\"\nport = 11112\n"
    "[[destination]]\nname = \"pacs\"\naddress = \"dicom://PACS@127.0.0.1:104\"\n"
    "[[route]]\nname = \"main\"\ndestinations = [\"pacs\"]\n";

// A configuration with these tests, read as `sluice check` reads it.
class TestTable : public ::testing::Test {
 protected:
  const std::vector<ConfigurationTest>& read(const std::string& tests) {
    const std::string file = folder_.path("sluice.toml");
    std::ofstream(file) << kAround << tests;
    setup_ = load(file, kTestKey, &tests_);
    return tests_;
  }
  // What is wrong with one test that has an image and expects something.
  std::string mistakes(const std::string& keys) {
    read("[[test]]\nattributes = {}\nverdict = \"pass\"\n" + keys);
    return setup_.mistakes->text();
  }
  // The attribute of a data set that is made of this table.
  std::vector<Text> made(const std::string& attributes, const std::string& path) {
    const auto& tests = read("[[test]]\nverdict = \"pass\"\nattributes = { " + attributes + " }\n");
    EXPECT_EQ(setup_.mistakes->text(), "");
    const Instance instance({}, *tests.at(0).made);
    return instance.values(*AttributePath::parse(path));
  }

  const sluice::test::TemporaryFolder folder_;
  sluice::Setup setup_;
  std::vector<ConfigurationTest> tests_;
};

TEST_F(TestTable, HasTheDefaultsOfExplain) {
  const auto& tests = read("[[test]]\nattributes = {}\nverdict = \"pass\"\n");
  ASSERT_EQ(setup_.mistakes->text(), "");
  ASSERT_THAT(tests, SizeIs(1));
  EXPECT_EQ(tests[0].name, "test 1");
  EXPECT_EQ(tests[0].line, 10);
  EXPECT_EQ(tests[0].calling_ae_title, "MODALITY");
  EXPECT_EQ(tests[0].called_ae_title, "SLUICE");
  EXPECT_EQ(tests[0].peer_address, "127.0.0.1");
  EXPECT_EQ(tests[0].listener, "in");
  EXPECT_FALSE(tests[0].received_at);
  EXPECT_FALSE(tests[0].fresh_ledger);
  EXPECT_FALSE(tests[0].routes || tests[0].destinations || tests[0].labels || tests[0].values);
}

TEST_F(TestTable, KnowsAGroupAsADestination) {
  read(
      "[[destination]]\nname = \"pacs2\"\naddress = \"dicom://PACS@127.0.0.1:105\"\n"
      "[[group]]\nname = \"any\"\ndestinations = [\"pacs\", \"pacs2\"]\n"
      "[[route]]\ndestinations = [\"any\"]\n"
      "[[test]]\nattributes = {}\ndestinations = [\"any\", \"pacs\"]\n");
  EXPECT_EQ(setup_.mistakes->text(), "");
}

TEST_F(TestTable, KnowsTimesWithAnOffset) {
  const auto at = [&](const std::string& text) {
    const auto& tests =
        read("[[test]]\nattributes = {}\nverdict = \"pass\"\nreceived_at = \"" + text + "\"\n");
    return tests.at(0).received_at;
  };
  const std::chrono::system_clock::time_point expected(std::chrono::seconds(1'714'599'000));
  EXPECT_EQ(at("2024-05-01T23:30:00+02:00"), expected);
  EXPECT_EQ(at("2024-05-01T21:30:00Z"), expected);
  EXPECT_EQ(at("2024-05-01T23:30:00"), std::nullopt);
  EXPECT_THAT(setup_.mistakes->text(), HasSubstr(":13: received_at must be a time"));
}

TEST_F(TestTable, TellsEveryMistakeWithItsLine) {
  read(
      "[[test]]\nname = \"a\"\nattributes = { Modalty = \"CT\" }\nroutes = [\"mian\"]\n"
      "[[test]]\nname = \"a\"\nverdict = \"accept\"\nlistener = \"out\"\n"
      "[[test]]\nimage = \"x.dcm\"\n"
      "[[test]]\nattributes = { SeriesNumber = 1 }\ndestinations = [\"pasc\"]\nrout = \"main\"\n");
  const std::string text = setup_.mistakes->text();
  EXPECT_THAT(text, HasSubstr(":12: "));
  EXPECT_THAT(text, HasSubstr("did you mean 'Modality'"));
  EXPECT_THAT(text, HasSubstr(":13: routes: there is no route 'mian'; did you mean 'main'?"));
  EXPECT_THAT(text, HasSubstr(":14: a test needs an image or attributes, and not both"));
  EXPECT_THAT(text, HasSubstr(":15: the test in line 10 is called 'a' too"));
  EXPECT_THAT(text, HasSubstr(":16: verdict must be one of"));
  EXPECT_THAT(text, HasSubstr(":17: listener: there is no listener 'out'"));
  EXPECT_THAT(text, HasSubstr(":18: the test expects nothing"));
  EXPECT_THAT(text, HasSubstr("write \"1\""));
  EXPECT_THAT(text, HasSubstr(":22: destinations: there is no destination 'pasc'"));
  EXPECT_THAT(text, HasSubstr(":23: unknown key 'rout'; did you mean 'route'?"));
}

TEST_F(TestTable, TakesConditionsOfAnyForm) {
  EXPECT_EQ(
      mistakes("values = { SeriesNumber = { at_least = 3 }, any = [ { Modality = \"CT\" } ] }"),
      "");
  EXPECT_THAT(mistakes("values = { SeriesNumber = { atleast = 3 } }"), HasSubstr("at_least"));
  EXPECT_EQ(mistakes("reason = { regex = \"a+\" }"), "");
  EXPECT_THAT(mistakes("reason = { regex = \"a(\" }"), HasSubstr("RE2"));
}

// conf/sluice.toml is where every key is looked up.
TEST_F(TestTable, HasEveryKeyInTheFullConfiguration) {
  const std::string message = mistakes("qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq = 1");
  std::string list = message.substr(message.find("known here: ") + 12);
  list.replace(list.find('\n'), 1, ", ");
  const std::string text =
      sluice::test::read_file(std::string(SLUICE_CONF_FOLDER) + "/sluice.toml");
  const std::size_t begin = text.find("\n[[test]]");
  ASSERT_NE(begin, std::string::npos);
  const std::string section = text.substr(begin, text.find("\n[audit]", begin) - begin);
  int found = 0;
  for (std::size_t comma = 0; (comma = list.find(", ")) != std::string::npos; ++found) {
    const std::string key = list.substr(0, comma);
    list.erase(0, comma + 2);
    EXPECT_TRUE(section.find("\n" + key + " = ") != std::string::npos ||
                section.find("\n# " + key + " = ") != std::string::npos)
        << key;
  }
  EXPECT_GE(found, 15);
}

TEST_F(TestTable, MakesADataSetWithWhatEveryInstanceHas) {
  const std::string seed = "[[test]]\nname = \"a\"\nverdict = \"pass\"\nattributes = {}\n";
  const dicom::Header header = *read(seed).at(0).made;
  const Instance instance({}, header);
  EXPECT_EQ(instance.text(dicom::tags::kSopClassUid), "1.2.840.10008.5.1.4.1.1.7");
  const std::string uid = instance.text(dicom::tags::kSopInstanceUid);
  EXPECT_THAT(uid, ::testing::StartsWith("2.25."));
  EXPECT_NE(uid, instance.text(dicom::tags::kStudyInstanceUid));
  EXPECT_EQ(Instance({}, *read(seed).at(0).made).text(dicom::tags::kSopInstanceUid), uid);
  EXPECT_FALSE(header.is_unordered());
}

TEST_F(TestTable, MakesSequencesAndPrivateElements) {
  EXPECT_THAT(made("\"RequestAttributesSequence[1].StudyID\" = \"7\"",
                   "RequestAttributesSequence[1].StudyID"),
              ElementsAre("7"));
  EXPECT_THAT(made("\"RequestAttributesSequence[1].StudyID\" = \"7\"",
                   "RequestAttributesSequence[0].StudyID"),
              IsEmpty());
  const std::string own =
      "\"(0009,xx01,ACME)\" = \"x\", \"(0009,xx02,ACME)\" = \"y\", \"(0009,xx01,OTHER)\" = \"z\"";
  EXPECT_THAT(made(own, "(0009,xx01,ACME)"), ElementsAre("x"));
  EXPECT_THAT(made(own, "(0009,xx02,ACME)"), ElementsAre("y"));
  EXPECT_THAT(made(own, "(0009,xx01,OTHER)"), ElementsAre("z"));
  EXPECT_THAT(made(own, "(0009,1002)"), ElementsAre("y"));
  EXPECT_THAT(made(own, "(0009,0011)"), ElementsAre("OTHER"));
}

TEST_F(TestTable, MakesValuesOfTheirVr) {
  EXPECT_THAT(made("Rows = \"512\"", "Rows"), ElementsAre("512"));
  EXPECT_THAT(made("ImageType = [\"ORIGINAL\", \"PRIMARY\"]", "ImageType"),
              ElementsAre("ORIGINAL", "PRIMARY"));
  EXPECT_THAT(made("SeriesNumber = \"\"", "SeriesNumber"), ElementsAre(""));
  EXPECT_THAT(made("StudyInstanceUID = \"1.2.03\"", "StudyInstanceUID"), ElementsAre("1.2.03"));
  EXPECT_THAT(mistakes("[[test]]\nverdict = \"pass\"\nattributes = { Rows = \"many\" }"),
              HasSubstr("'Rows': a text of 4 bytes is no value of VR US"));
}

TEST_F(TestTable, WritesTextInTheCharacterSetThatIsNamed) {
  EXPECT_THAT(made("InstitutionName = \"Süd\"", "SpecificCharacterSet"), ElementsAre("ISO_IR 192"));
  EXPECT_THAT(made("InstitutionName = \"Sued\"", "SpecificCharacterSet"), IsEmpty());
  const std::string latin = "InstitutionName = \"Süd\", SpecificCharacterSet = \"ISO_IR 100\"";
  EXPECT_THAT(made(latin, "InstitutionName"), ElementsAre("Süd"));
  const Instance instance({}, *tests_.at(0).made);
  EXPECT_EQ(instance.text({0x0008, 0x0080}),
            "S\xFC"
            "d");
  EXPECT_THAT(mistakes("[[test]]\nverdict = \"pass\"\nattributes = { InstitutionName = \"東\", "
                       "SpecificCharacterSet = \"ISO_IR 100\" }"),
              HasSubstr("has no form in Specific Character Set 'ISO_IR 100'"));
}

TEST_F(TestTable, RefusesAttributesThatMakeNoDataSet) {
  const auto told = [&](const std::string& attributes) {
    return mistakes("[[test]]\nverdict = \"pass\"\nattributes = { " + attributes + " }");
  };
  EXPECT_THAT(told("StudyID = \"1\", \"(0020,0010)\" = \"2\""), HasSubstr("is set twice"));
  EXPECT_THAT(told("\"RequestAttributesSequence[*].StudyID\" = \"1\""),
              HasSubstr("must number its items"));
  EXPECT_THAT(told("\"RequestAttributesSequence[99999].StudyID\" = \"1\""),
              HasSubstr("must number its items"));
  EXPECT_THAT(told("PixelData = \"1\""), HasSubstr("pixel data"));
}

TEST_F(TestTable, MayStandInAFileThatNamesTheConfiguration) {
  const std::string file = folder_.path("tests.toml");
  std::ofstream(file) << "config = \"sluice.toml\"\n[[test]]\nname = \"own\"\nimage = \"x.dcm\"\n"
                         "verdict = \"pass\"\n[[tests]]\n";
  config::Mistakes mistakes_of_file(file);
  const auto tests = config::load_test_file(file, mistakes_of_file);
  ASSERT_TRUE(tests);
  EXPECT_EQ(tests->config_file, folder_.path("sluice.toml"));
  EXPECT_THAT(tests->tests, SizeIs(1));
  EXPECT_THAT(mistakes_of_file.text(), HasSubstr("unknown key 'tests'; did you mean 'test'?"));
  read("");
  EXPECT_FALSE(config::load_test_file(folder_.path("sluice.toml"), mistakes_of_file));
  EXPECT_FALSE(config::load_test_file(folder_.path("absent.toml"), mistakes_of_file));
}

}  // namespace
}  // namespace sluice::command
