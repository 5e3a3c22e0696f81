#include "gateway/dicom/value_rules.h"

#include <string>

#include <gmock/gmock.h>

namespace sluice::dicom {
namespace {

struct Sample {
  Vr vr;
  std::string text;
};

TEST(ValueRules, TakeWhatTheVrTakes) {
  const std::string sixteen = "1234567890123456";
  std::string umlauts;
  for (int i = 0; i < 16; ++i) umlauts += "\xC3\xBC";
  for (const Sample& one :
       {Sample{Vr::SH, sixteen},
        {Vr::SH, umlauts},
        {Vr::AE, "STORE_SCP"},
        {Vr::AS, "018M"},
        {Vr::CS, "HFS 1_A"},
        {Vr::DA, "20261126"},
        {Vr::DS, "-1.5e3"},
        {Vr::DT, "20261126093000.5+0100"},
        {Vr::IS, "+12"},
        {Vr::LO, std::string(64, 'x')},
        {Vr::LT, "one\r\ntwo\\three"},
        {Vr::PN,
         "M\xC3\xBCller^J\xC3\xBCrgen^^Dr.=\xE5\xB1\xB1\xE7\x94\xB0^\xE5\xA4\xAA\xE9\x83\x8E"},
        {Vr::ST, "a\tb"},
        {Vr::TM, "093000.25"},
        {Vr::TM, "235960"},
        {Vr::DT, "20161231235960.5+0100"},
        {Vr::DA, "20240229"},
        {Vr::UC, std::string(500, 'x')},
        {Vr::UI, "1.2.840.10008.1.2"},
        {Vr::UR, "https://example.org/a"},
        {Vr::UT, "a\nb"},
        {Vr::US, "65535"},
        {Vr::FD, "1.25"},
        {Vr::AT, "0008,0050"}}) {
    EXPECT_EQ(find_value_defect(one.vr, one.text), std::nullopt)
        << to_string(one.vr) << " " << one.text;
  }
}

TEST(ValueRules, TellWhatIsWrongWithoutTheValue) {
  for (const Sample& one : {Sample{Vr::SH, "12345678901234567"},
                            {Vr::SH, "a\\b"},
                            {Vr::SH, "a\nb"},
                            {Vr::SH, "a\x1b(Bb"},
                            {Vr::SH, "\xFC"},
                            {Vr::AE, "A_TITLE_TOO_LONG_BY_FAR"},
                            {Vr::AE, "\xC3\xBC"},
                            {Vr::AS, "18"},
                            {Vr::CS, "lower"},
                            {Vr::DA, "2026-11-26"},
                            {Vr::DA, "20261326"},
                            {Vr::DA, "20240231"},
                            {Vr::DT, "20230229120000"},
                            {Vr::TM, "235961"},
                            {Vr::TM, "236060"},
                            {Vr::DS, "1,5"},
                            {Vr::DT, "2026-11-26"},
                            {Vr::IS, "1.5"},
                            {Vr::LO, std::string(65, 'x')},
                            {Vr::PN, "a^b^c^d^e^f"},
                            {Vr::PN, "a=b=c=d"},
                            {Vr::PN, std::string(65, 'x')},
                            {Vr::TM, "9:30"},
                            {Vr::UC, "a\\b"},
                            {Vr::UI, "1.02"},
                            {Vr::UI, "1..2"},
                            {Vr::US, "65536"},
                            {Vr::US, "x"},
                            {Vr::ST, std::string(1025, 'x')},
                            {Vr::LT, std::string(10241, 'x')},
                            {Vr::SQ, "x"},
                            {Vr::OW, "x"},
                            {Vr::UN, "x"}}) {
    const auto defect = find_value_defect(one.vr, one.text);
    EXPECT_TRUE(defect) << to_string(one.vr) << " " << one.text;
    if (!defect) continue;
    EXPECT_THAT(*defect, testing::StartsWith("is no value of VR " + to_string(one.vr) + ": "));
    EXPECT_TRUE(one.text.size() < 3 || defect->find(one.text) == std::string::npos);
  }
}

}  // namespace
}  // namespace sluice::dicom
