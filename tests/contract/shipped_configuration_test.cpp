// The configurations below conf/ build pipelines of the real filters, and
// conf/sluice.toml names every option that a filter knows.
#include <filesystem>

#include <gtest/gtest.h>

#include "filters/filters.h"
#include "gateway/pipeline/pipeline.h"
#include "tests/support/fixtures.h"

namespace sluice {
namespace {

const std::string kFolder = SLUICE_CONF_FOLDER;

TEST(ShippedConfiguration, BuildsAPipelineWithoutMistakes) {
  std::vector<std::string> files{kFolder + "/sluice.toml"};
  for (const auto& entry : std::filesystem::directory_iterator(kFolder + "/examples")) {
    files.push_back(entry.path().string());
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

TEST(ShippedConfiguration, NamesEveryOptionOfEveryFilterInFileAndReadme) {
  const std::string text = test::read_file(kFolder + "/sluice.toml");
  for (const FilterType& type : filter_types()) {
    const std::string heading = "type = \"" + std::string(type.type) + "\"";
    const std::size_t begin = text.find(heading);
    ASSERT_NE(begin, std::string::npos) << type.type;
    const std::string section = text.substr(begin, text.find("\n[[", begin) - begin);
    const std::string readme =
        test::read_file(kFolder + "/../filters/" + std::string(type.type) + "/README.md");
    config::Mistakes mistakes("options");
    config::Table options = config::Table::parse("no_such_option = 1", mistakes);
    (void)type.make(options, {"name", "key"});
    options.finish();
    ASSERT_EQ(mistakes.list().size(), 1U) << mistakes.text();
    // "unknown key 'no_such_option'; known here: a, b, c"
    const std::string message = mistakes.list().front().message;
    std::string list = message.substr(message.find("known here: ") + 12) + ", ";
    int found = 0;
    for (std::size_t comma = 0; (comma = list.find(", ")) != std::string::npos;) {
      const std::string option = list.substr(0, comma);
      list.erase(0, comma + 2);
      ++found;
      EXPECT_NE(section.find("\n" + option + " = "), section.find("\n# " + option + " = "))
          << type.type << ": " << option << " is not in conf/sluice.toml";
      EXPECT_NE(readme.find("`" + option), std::string::npos)
          << type.type << ": " << option << " is not in its README.md";
    }
    EXPECT_GE(found, 2) << message;
  }
}

}  // namespace
}  // namespace sluice
