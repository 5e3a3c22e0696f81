// The recipes of docs/cookbook.md: each is a configuration without mistake or warning that does
// what is promised of it, and stands in the document as it stands in its file.
#include "tests/contract/cookbook.h"

#include <algorithm>
#include <ctime>
#include <filesystem>
#include <iomanip>
#include <set>
#include <sstream>

#include <gtest/gtest.h>

#include "gateway/base/glob.h"
#include "gateway/dicom/vr.h"
#include "gateway/pipeline/pipeline.h"
#include "tests/support/filter_runner.h"

namespace sluice {
namespace {

using CookbookTexts = std::map<std::string, std::string>;

const std::string kCookbookFolder = SLUICE_CONF_FOLDER "/cookbook";
const std::string kCookbookDocument = SLUICE_CONF_FOLDER "/../docs/cookbook.md";

// A value from `sent`, taken out of it.
std::string take(CookbookTexts& sent, const std::string& key, const std::string& fallback) {
  const auto found = sent.find(key);
  if (found == sent.end()) return fallback;
  std::string value = found->second;
  sent.erase(found);
  return value;
}

Time utc(const std::string& text) {
  std::tm fields{};
  std::istringstream(text) >> std::get_time(&fields, "%Y-%m-%d %H:%M");
  return std::chrono::system_clock::from_time_t(timegm(&fields));
}

// Explicit VR little endian, whatever the transfer syntax, of which there is no pixel data.
std::string data_set_of(const CookbookTexts& attributes) {
  CookbookTexts all{{"SOPClassUID", "1.2.840.10008.5.1.4.1.1.2"},
                    {"SOPInstanceUID", "1.2.3.1"},
                    {"StudyInstanceUID", "1.2.4"},
                    {"SeriesInstanceUID", "1.2.5"},
                    {"SeriesNumber", "1"},
                    {"InstanceNumber", "1"},
                    {"StudyDate", "20260921"},
                    {"Modality", "CT"},
                    {"PatientName", "Doe^Jane"},
                    {"PatientID", "P1"}};
  for (const auto& [name, value] : attributes) all[name] = value;
  std::map<dicom::Tag, std::string> in_order;
  for (const auto& [name, value] : all) {
    const auto tag = dicom::parse_tag(name);
    if (!tag) throw std::invalid_argument(tag.error().message);
    if (!value.empty()) in_order[*tag] = value;
  }
  test::DataSet made;
  for (const auto& [tag, value] : in_order) {
    made.text(tag, tag.is_private() ? dicom::Vr::LO : dicom::dictionary_vr(tag), value);
  }
  return made.bytes();
}

// What was sent, and stands still while it is decided on.
struct CookbookInstance {
  explicit CookbookInstance(CookbookTexts sent) {
    const std::string syntax =
        take(sent, "transfer_syntax", std::string(dicom::kExplicitVrLittleEndian));
    const std::string time = take(sent, "time", "2026-09-21 14:13");
    const std::string calling = take(sent, "calling_ae_title", "ANY");
    const std::string called = take(sent, "called_ae_title", "SLUICE");
    const std::string address = take(sent, "peer_address", "192.0.2.1");
    const std::string listener = take(sent, "listener", "listener-11112");
    bytes = data_set_of(sent);
    header = std::make_unique<dicom::Header>(test::header_of(bytes, syntax));
    provenance = test::provenance_for(*header, utc(time));
    provenance.calling_ae_title = calling;
    provenance.called_ae_title = called;
    provenance.peer_address = address;
    provenance.listener = listener;
  }
  std::string bytes;
  std::unique_ptr<dicom::Header> header;
  Provenance provenance;
};

std::string verdict_of(const Decision& decision, const std::string& unrouted) {
  if (decision.routes.empty()) return decision.asides.empty() ? unrouted : "pass";
  for (const RouteDecision& route : decision.routes) {
    if (std::holds_alternative<Drop>(route.verdict)) return "drop";
    if (std::holds_alternative<Reject>(route.verdict)) return "reject";
    if (std::holds_alternative<Quarantine>(route.verdict)) return "quarantine";
  }
  return "pass";
}

std::string name_of_acknowledge(config::Acknowledge acknowledge) {
  if (acknowledge == config::Acknowledge::delivered) return "delivered";
  return acknowledge == config::Acknowledge::stored ? "stored" : "safe";
}

void add_word(std::string& words, const std::string& word, const std::string& between) {
  words += (words.empty() ? "" : between) + word;
}

// As CookbookStep has it.
std::map<std::string, std::string> particulars(const config::Config& config, Time now) {
  std::map<std::string, std::string> found;
  for (const config::Destination& each : config.destinations) {
    const auto& windows = each.schedule;
    const auto is_open = [&](const config::TimeWindow& window) { return window.contains(now); };
    std::string words;
    if (!windows.empty() && std::ranges::none_of(windows, is_open)) add_word(words, "waits", ", ");
    if (each.max_rate > 0 || each.max_bandwidth > 0) add_word(words, "paced", ", ");
    if (!each.required) add_word(words, "given up", ", ");
    if (!words.empty()) found[each.name] = words;
  }
  for (const config::Group& each : config.groups) {
    for (const std::string& member : each.destinations) {
      add_word(found[each.name], member, each.is_balanced ? " or " : ", else ");
    }
  }
  return found;
}

class Cookbook : public testing::TestWithParam<CookbookRecipe> {
 protected:
  // A lookup names its file from the top of the sources.
  void SetUp() override { std::filesystem::current_path(SLUICE_CONF_FOLDER "/.."); }
  void TearDown() override { std::filesystem::current_path(before_); }

  void build() {
    config::Mistakes mistakes(GetParam().file);
    config_ = config::load(kCookbookFolder + "/" + GetParam().file, mistakes);
    pipeline_ = Pipeline::build(config_, filter_types(), "key", mistakes);
    ASSERT_TRUE(mistakes.list().empty() && mistakes.warnings().empty()) << mistakes.text();
  }

  // COPY stands for the value that was last delivered where COPY was expected.
  void expect_value(const std::string& name, const std::string& expected,
                    const std::string& value) {
    if (expected == "COPY") {
      EXPECT_NE(value, "");
      copy_ = value;
      return;
    }
    EXPECT_TRUE(matches_glob(expected, value))
        << name << " is '" << value << "' and not '" << expected << "'";
  }

  // What the route sends, read as its receiver would.
  void expect_delivered(const RouteDecision& route, const CookbookTexts& expected,
                        const CookbookInstance& sent) {
    Instance instance(sent.provenance, *sent.header);
    ASSERT_TRUE(pipeline_->apply(route.route,
                                 route.destinations.empty() ? "" : route.destinations.front(),
                                 instance, *ledger_));
    const std::string bytes = test::rendered(instance.patch(), sent.bytes);
    const dicom::Header header = test::header_of(bytes, sent.header->transfer_syntax().uid);
    const Instance received(sent.provenance, header);
    for (const auto& [name, value] : expected) {
      const auto path = AttributePath::parse(name);
      ASSERT_TRUE(path) << path.error().message;
      std::string all;
      for (const Text& one : received.values(*path)) {
        all += (all.empty() ? "" : "\\") + one.value_or("");
      }
      expect_value(name, value, all);
    }
  }

  void expect(const CookbookStep& step) {
    CookbookTexts texts = step.sent;
    for (auto& [name, value] : texts) {
      if (value == "COPY") value = copy_;
    }
    const CookbookInstance sent(texts);
    const auto decision = pipeline_->decide(sent.provenance, *sent.header, *ledger_);
    ASSERT_TRUE(decision) << decision.error().message;
    EXPECT_EQ(verdict_of(*decision, config_.gateway.unrouted), step.verdict);
    EXPECT_EQ(name_of_acknowledge(decision->acknowledge()), step.acknowledge);
    EXPECT_EQ(particulars(config_, sent.provenance.received_at), step.particular);
    std::set<std::string> destinations;
    for (const RouteDecision& route : decision->routes) {
      for (const std::string& destination : route.destinations) {
        EXPECT_EQ(config::to_string(route.priority), step.priority) << destination;
        destinations.insert(destination);
        const auto expected = step.delivered.find(destination);
        EXPECT_NE(expected, step.delivered.end()) << "delivered to " << destination;
        if (expected != step.delivered.end()) expect_delivered(route, expected->second, sent);
      }
    }
    for (const auto& [destination, values] : step.delivered) {
      EXPECT_TRUE(destinations.contains(destination)) << "not delivered to " << destination;
    }
  }

  config::Config config_;
  std::unique_ptr<Pipeline> pipeline_;
  std::unique_ptr<Ledger> ledger_ = test::memory_ledger();
  std::string copy_;

 private:
  const std::filesystem::path before_ = std::filesystem::current_path();
};

TEST_P(Cookbook, DoesWhatIsPromised) {
  ASSERT_NO_FATAL_FAILURE(build());
  ASSERT_FALSE(GetParam().steps.empty());
  int number = 0;
  for (const CookbookStep& step : GetParam().steps) {
    SCOPED_TRACE(GetParam().file + ", step " + std::to_string(++number));
    expect(step);
  }
}

// The lines between the two that say so; all of them, where none does.
std::string shown_part(const std::string& file) {
  std::string text = test::read_file(kCookbookFolder + "/" + file);
  const std::string begin = "# cookbook: begin\n";
  const std::string end = "# cookbook: end\n";
  const std::size_t first = text.find(begin);
  const std::size_t last = text.find(end);
  if (first == std::string::npos || last == std::string::npos) return text;
  return text.substr(first + begin.size(), last - first - begin.size());
}

TEST_P(Cookbook, StandsInTheDocumentAsInItsFile) {
  const std::string document = test::read_file(kCookbookDocument);
  const std::string& file = GetParam().file;
  const std::size_t link = document.find("](../conf/cookbook/" + file + ")");
  ASSERT_NE(link, std::string::npos)
      << "docs/cookbook.md has no link to conf/cookbook/" << file << " below its fenced block";
  const std::string open = "```toml\n";
  const std::size_t block = document.rfind(open, link);
  ASSERT_NE(block, std::string::npos);
  const std::size_t begin = block + open.size();
  EXPECT_EQ(document.substr(begin, document.find("```\n", begin) - begin), shown_part(file))
      << "docs/cookbook.md, the block above the link to " << file
      << ", must be the part of that file between '# cookbook: begin' and '# cookbook: end'";
}

TEST(CookbookFiles, AreAllTriedAndToldOf) {
  std::set<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(kCookbookFolder)) {
    if (entry.path().extension() == ".toml") files.insert(entry.path().filename().string());
  }
  std::set<std::string> tried;
  for (const CookbookRecipe& recipe : cookbook_recipes()) tried.insert(recipe.file);
  EXPECT_EQ(files, tried) << "conf/cookbook and tests/contract/cookbook_recipes_test.cpp differ";
  const std::string document = test::read_file(kCookbookDocument);
  std::size_t headings = 0;
  for (std::size_t at = 0; (at = document.find("\n## ", at)) != std::string::npos; ++at) ++headings;
  EXPECT_EQ(headings, tried.size()) << "docs/cookbook.md has a heading '## ' for each recipe";
}

INSTANTIATE_TEST_SUITE_P(All, Cookbook, testing::ValuesIn(cookbook_recipes()),
                         [](const auto& test) {
                           std::string name = test.param.file;
                           name.resize(name.find('.'));
                           std::ranges::replace(name, '-', '_');
                           return "recipe_" + name;
                         });

}  // namespace
}  // namespace sluice
