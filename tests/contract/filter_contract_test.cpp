// What every filter in the list must hold, tried with its defaults, and what options have
// none, on every fixture.
#include <set>
#include <thread>

#include <gtest/gtest.h>

#include "gateway/dicom/deflate.h"
#include "tests/support/filter_runner.h"
#include "tests/support/lookup_file.h"

namespace sluice::test {
namespace {

// Uncompressed bytes of every fixture that a sender could send.
const std::vector<FileDataSet>& fixtures() {
  static const std::vector<FileDataSet> all = [] {
    std::vector<FileDataSet> read;
    for (const std::string& path : all_fixtures()) {
      auto file = file_data_set(path);
      if (!file || file->transfer_syntax_uid.empty()) continue;
      const auto syntax = dicom::transfer_syntax(file->transfer_syntax_uid);
      if (syntax.deflated) {
        dicom::Inflater inflater(1ULL << 30U, 1100);
        std::string plain;
        if (!inflater.inflate(std::as_bytes(std::span(file->bytes)), plain)) continue;
        file->bytes = plain;
        file->transfer_syntax_uid = dicom::kExplicitVrLittleEndian;
      }
      if (!dicom::scan(std::as_bytes(std::span(file->bytes)),
                       dicom::transfer_syntax(file->transfer_syntax_uid))) {
        continue;
      }
      read.push_back(std::move(*file));
    }
    return read;
  }();
  return all;
}

// Some types do nothing by their defaults.
std::string options_of(const std::string& type) {
  if (type != "edit") return required_options(type);
  return R"(characters = "unicode"
rule = [
  { attribute = "InstitutionName", set = "Süd" },
  { attribute = "PatientName", upper = true },
  { attribute = "StationName", default = "{calling_ae_title}" },
  { attribute = "StudyDescription", truncate = 5 },
  { attribute = "AccessionNumber", replace = { regex = "^0+", with = "" } },
  { attribute = "OperatorsName", remove = true },
  { attribute = "RequestAttributesSequence[*].RequestedProcedureDescription", trim = true },
])";
}

class FilterContract : public testing::TestWithParam<std::string> {
 protected:
  static std::string describe(const Verdict& verdict) {
    return std::to_string(verdict.index()) + reason_of(verdict);
  }
  std::unique_ptr<Filter> filter_ = make_filter(GetParam(), options_of(GetParam()));
  std::unique_ptr<Ledger> ledger_ = memory_ledger();
};

TEST_P(FilterContract, IsTriedOnManyRealDataSets) {
  EXPECT_GE(fixtures().size(), 50U);
}

TEST_P(FilterContract, GivesTheSameBytesAndVerdictAgain) {
  for (const FileDataSet& file : fixtures()) {
    Case first(file.bytes, file.transfer_syntax_uid);
    const std::string verdict = describe(first.apply(*filter_, *ledger_));
    Case again(file.bytes, file.transfer_syntax_uid);
    EXPECT_EQ(describe(again.apply(*filter_, *ledger_)), verdict) << file.name;
    EXPECT_EQ(again.output(), first.output()) << file.name;
  }
}

TEST_P(FilterContract, FindsNothingLeftToDoInItsOwnOutput) {
  for (const FileDataSet& file : fixtures()) {
    Case first(file.bytes, file.transfer_syntax_uid);
    if (!is_pass(first.apply(*filter_, *ledger_))) continue;
    ASSERT_TRUE(first.instance.record_original_attributes());
    Case second(first.output(), file.transfer_syntax_uid);
    ASSERT_TRUE(is_pass(second.apply(*filter_, *ledger_))) << file.name;
    EXPECT_TRUE(second.instance.patch().empty()) << file.name;
  }
}

TEST_P(FilterContract, DeclaresEveryElementItChanges) {
  for (const FileDataSet& file : fixtures()) {
    Case one(file.bytes, file.transfer_syntax_uid);
    if (!is_pass(one.apply(*filter_, *ledger_))) continue;
    std::set<std::string> declared;
    for (const Change& change : one.instance.changes()) {
      EXPECT_FALSE(change.reason.empty());
      declared.insert(change.path);
    }
    const std::string output = one.output();
    const dicom::Header after = header_of(output, file.transfer_syntax_uid);
    const dicom::Header& before = *one.header;
    std::map<std::string, std::string> values;
    for (dicom::ElementIndex i = 0; i < before.elements().size(); ++i) {
      if (const auto value = before.value(i)) values[before.path(i)] = std::string(*value);
    }
    for (dicom::ElementIndex i = 0; i < after.elements().size(); ++i) {
      const auto value = after.value(i);
      if (!value || after[i].tag.is_group_length()) continue;
      const std::string path = after.path(i);
      const auto known = values.find(path);
      if (known != values.end() && known->second == *value) continue;
      EXPECT_TRUE(declared.contains(path)) << file.name << ": " << path;
    }
  }
}

TEST_P(FilterContract, SaysWhyItDoesNotPass) {
  for (const FileDataSet& file : fixtures()) {
    Case one(file.bytes, file.transfer_syntax_uid);
    const Verdict verdict = one.apply(*filter_, *ledger_);
    EXPECT_NE(is_pass(verdict), !reason_of(verdict).empty()) << file.name;
  }
}

TEST_P(FilterContract, TakesAnEmptyDataSet) {
  Case one(std::string{});
  const Verdict verdict = one.apply(*filter_, *ledger_);
  EXPECT_NE(is_pass(verdict), !reason_of(verdict).empty());
}

TEST_P(FilterContract, RefusesAnOptionItDoesNotKnow) {
  const std::string options = required_options(GetParam());
  EXPECT_NO_THROW((void)make_filter(GetParam(), options));
  EXPECT_THROW((void)make_filter(GetParam(), options + "no_such_option = 1"),
               std::invalid_argument);
}

TEST_P(FilterContract, MayBeUsedByManyThreadsAtOnce) {
  std::map<std::string, std::string> expected;
  for (const FileDataSet& file : fixtures()) {
    Case one(file.bytes, file.transfer_syntax_uid);
    (void)one.apply(*filter_, *ledger_);
    expected[file.name] = one.output();
  }
  constexpr int kThreads = 4;
  std::vector<int> differences(kThreads, 0);
  std::vector<std::thread> threads;
  for (std::size_t thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      for (const FileDataSet& file : fixtures()) {
        Case one(file.bytes, file.transfer_syntax_uid);
        (void)one.apply(*filter_, *ledger_);
        if (one.output() != expected.at(file.name)) ++differences[thread];
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const int difference : differences) EXPECT_EQ(difference, 0);
}

std::vector<std::string> all_types() {
  std::vector<std::string> types;
  for (const FilterType& each : filter_types()) types.emplace_back(each.type);
  return types;
}

INSTANTIATE_TEST_SUITE_P(All, FilterContract, testing::ValuesIn(all_types()),
                         [](const auto& test) { return test.param; });

}  // namespace
}  // namespace sluice::test
