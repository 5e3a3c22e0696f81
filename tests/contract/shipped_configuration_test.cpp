// The configurations below conf/ build pipelines of the real filters, and
// conf/sluice.toml names every option that a filter knows.
#include <algorithm>
#include <filesystem>
#include <sstream>

#include <gtest/gtest.h>

#include "filters/filters.h"
#include "gateway/pipeline/pipeline.h"
#include "tests/support/filter_options.h"
#include "tests/support/fixtures.h"

namespace sluice {
namespace {

const std::string kFolder = SLUICE_CONF_FOLDER;

// The examples name files from the top of the sources.
class ShippedConfiguration : public testing::Test {
 protected:
  void SetUp() override { std::filesystem::current_path(kFolder + "/.."); }
  void TearDown() override { std::filesystem::current_path(before_); }

 private:
  const std::filesystem::path before_ = std::filesystem::current_path();
};

TEST_F(ShippedConfiguration, BuildsAPipelineWithoutMistakes) {
  std::vector<std::string> files{kFolder + "/sluice.toml"};
  for (const auto& entry : std::filesystem::directory_iterator(kFolder + "/examples")) {
    if (entry.path().extension() == ".toml") files.push_back(entry.path().string());
  }
  ASSERT_GE(files.size(), 5U);
  for (const std::string& file : files) {
    config::Mistakes mistakes(file);
    const config::Config config = config::load(file, mistakes);
    const auto pipeline = Pipeline::build(config, filter_types(), "key", mistakes);
    EXPECT_EQ(mistakes.text(), "");
    EXPECT_FALSE(pipeline->routes().empty());
  }
}

TEST_F(ShippedConfiguration, NamesEveryOptionOfEveryFilterInFileAndReadme) {
  const std::string text = test::read_file(kFolder + "/sluice.toml");
  for (const FilterType& type : filter_types()) {
    const std::string heading = "type = \"" + std::string(type.type) + "\"";
    const std::size_t begin = text.find(heading);
    ASSERT_NE(begin, std::string::npos) << type.type;
    const std::string section = text.substr(begin, text.find("\n[[", begin) - begin);
    const std::string readme =
        test::read_file(kFolder + "/../filters/" + std::string(type.type) + "/README.md");
    const auto options = test::accepted_keys("", test::options_reader(type));
    EXPECT_GE(options.size(), 2U) << type.type;
    for (const std::string& option : options) {
      EXPECT_NE(section.find("\n" + option + " = "), section.find("\n# " + option + " = "))
          << type.type << ": " << option << " is not in conf/sluice.toml";
      EXPECT_NE(readme.find("`" + option), std::string::npos)
          << type.type << ": " << option << " is not in its README.md";
    }
  }
}

// What is a comment only must not be wrong because nobody reads it.
TEST_F(ShippedConfiguration, IsRightWithItsLookupInUse) {
  std::istringstream lines(test::read_file(kFolder + "/sluice.toml"));
  std::string text;
  bool inside = false;
  for (std::string line; std::getline(lines, line);) {
    if (line == "# [[filter]]") inside = true;
    if (!line.starts_with("#")) inside = false;
    const bool is_entry = line == "# [[filter]]" || line.find(" = ") != std::string::npos;
    if (line.starts_with("# file = ")) line = "# file = \"conf/examples/accessions.csv\"";
    if (line.starts_with("# table = ")) continue;
    text += (inside && is_entry ? line.substr(2) : line) + "\n";
  }
  config::Mistakes mistakes("sluice.toml");
  const config::Config config = config::parse(text, mistakes);
  EXPECT_TRUE(std::ranges::any_of(
      config.filters, [](const config::FilterEntry& one) { return one.type == "lookup"; }));
  const auto pipeline = Pipeline::build(config, filter_types(), "key", mistakes);
  EXPECT_EQ(mistakes.text(), "");
}

}  // namespace
}  // namespace sluice
