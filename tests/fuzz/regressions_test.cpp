// Replays every kept finding on its target: what was mended stays so.
#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/fuzz/targets.h"
#include "tests/support/fixtures.h"

namespace sluice::fuzz {
namespace {

const std::filesystem::path kFolder = SLUICE_FUZZ_REGRESSIONS;

// "patch/group_length_as_sequence"
std::vector<std::string> findings() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(kFolder)) {
    if (entry.is_regular_file()) {
      names.push_back(std::filesystem::relative(entry.path(), kFolder).string());
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

const Target* target_of(const std::string& finding) {
  const auto* const target = std::ranges::find(
      kTargets, std::string_view(finding).substr(0, finding.find('/')), &Target::name);
  return target == std::end(kTargets) ? nullptr : target;
}

class Regression : public testing::TestWithParam<std::string> {};

TEST_P(Regression, KeepsItsPromises) {
  const Target* const target = target_of(GetParam());
  ASSERT_NE(target, nullptr) << "no target has the name of the folder of " << GetParam();
  const std::string bytes = test::read_file((kFolder / GetParam()).string());
  EXPECT_NO_THROW(target->run(bytes_of(bytes)));
}

std::string test_name(const testing::TestParamInfo<std::string>& finding) {
  std::string name = finding.param;
  std::ranges::replace_if(
      name, [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(All, Regression, testing::ValuesIn(findings()), test_name);

// Each target on what needs no file: nothing, and a run of each byte.
class Targets : public testing::TestWithParam<Target> {};

TEST_P(Targets, TakeNothingAndUniformBytes) {
  EXPECT_NO_THROW(GetParam().run({}));
  for (int value = 0; value < 256; ++value) {
    const std::string bytes(300, static_cast<char>(value));
    EXPECT_NO_THROW(GetParam().run(bytes_of(bytes))) << value;
  }
}

INSTANTIATE_TEST_SUITE_P(All, Targets, testing::ValuesIn(kTargets),
                         [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace sluice::fuzz
