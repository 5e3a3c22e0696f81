// A pipeline of filters that do one thing each, and an instance for it.
#pragma once

#include <array>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "gateway/pipeline/pipeline.h"
#include "tests/support/data_set.h"

namespace sluice::test {

using dicom::Vr;
namespace tags = dicom::tags;

// Sets one attribute, or gives one verdict: enough to see what a chain does.
class SetAttribute : public Filter {
 public:
  SetAttribute(std::string keyword, std::string text)
      : keyword_(std::move(keyword)), text_(std::move(text)) {}
  Result<Verdict> apply(Instance& instance, Ledger&) const override {
    const auto changed =
        instance.change(*dicom::parse_tag(keyword_), text_, "set", Record::coerced);
    if (!changed) return tl::unexpected(changed.error());
    return Pass{};
  }
  FilterEffects effects() const override { return {{keyword_}, {}}; }

 private:
  std::string keyword_;
  std::string text_;
};

class Say : public Filter {
 public:
  explicit Say(std::string verdict) : verdict_(std::move(verdict)) {}
  Result<Verdict> apply(Instance& instance, Ledger&) const override {
    if (verdict_ == "reject") return Reject{0xC123, "no"};
    if (verdict_ == "quarantine") return Quarantine{"rest"};
    if (verdict_ == "drop") return Drop{"gone"};
    if (verdict_ == "fail") return failure(ErrorCode::transient, "the ledger is away");
    if (verdict_ == "settle") instance.settle_uid_mismatch();
    if (verdict_ == "label" && instance.text(tags::kStudyId) == "S") instance.add_label("urgent");
    if (verdict_ == "drop if labelled" && !instance.labels().empty()) return Drop{"labelled"};
    return Pass{};
  }
  FilterEffects effects() const override {
    return {{},
            verdict_ == "label" ? std::vector<std::string>{"urgent"} : std::vector<std::string>{}};
  }

 private:
  std::string verdict_;
};

inline constexpr std::array<FilterType, 3> kTypes = {{
    {"set",
     [](config::Table& options, const FilterContext&) -> std::unique_ptr<Filter> {
       return std::make_unique<SetAttribute>(options.string("keyword", "StudyID"),
                                             options.string("text", "x"));
     }},
    {"say",
     [](config::Table& options, const FilterContext&) -> std::unique_ptr<Filter> {
       return std::make_unique<Say>(options.string("verdict", "pass"));
     }},
    {"asks",
     [](config::Table& options, const FilterContext&) -> std::unique_ptr<Filter> {
       return std::make_unique<Say>(options.required_string("verdict"));
     },
     false},
}};

inline constexpr const char* kStart = R"(
[[listener]]
port = 11112
[[destination]]
name = "a"
address = "dicom://A@127.0.0.1:104"
[[destination]]
name = "b"
address = "dicom://B@127.0.0.1:104"
[[filter]]
name = "reject"
type = "say"
verdict = "reject"
[[filter]]
name = "quarantine"
type = "say"
verdict = "quarantine"
[[filter]]
name = "drop"
type = "say"
verdict = "drop"
[[filter]]
name = "fail"
type = "say"
verdict = "fail"
[[filter]]
name = "settle"
type = "say"
verdict = "settle"
[[filter]]
name = "label"
type = "say"
verdict = "label"
[[filter]]
name = "drop_labelled"
type = "say"
verdict = "drop if labelled"
)";

class NoLedger : public Ledger {
 public:
  Result<std::int32_t> series_number(const SeriesNumberRequest&) override { return 1; }
  Result<std::optional<std::int32_t>> instance_number(const InstanceNumberRequest&) override {
    return 1;
  }
  Result<MergedStudy> merged_study(std::string_view, std::string_view, std::string_view,
                                   const MergedStudy& proposed) override {
    return proposed;
  }
  Result<void> record_uid(std::string_view, std::string_view, std::string_view,
                          std::string_view) override {
    return {};
  }
  Result<std::optional<std::string>> replacement(std::string_view, std::string_view,
                                                 Time) override {
    return std::nullopt;
  }
  Result<bool> replaces_uid(std::string_view, std::string_view, std::string_view,
                            std::string_view) override {
    return true;
  }
  Result<std::vector<std::string>> originals(std::string_view, std::string_view, Time) override {
    return std::vector<std::string>();
  }
  Result<std::vector<UidReplacement>> lookup(std::string_view) override {
    return std::vector<UidReplacement>{};
  }
  Result<std::string> value_as_of(std::string_view, std::string_view, const FoundValue& found,
                                  Time) override {
    return found.value;
  }
  Result<SeriesAttributes> series_identity(const SeriesIdentity& identity) override {
    return identity.attributes;
  }
  Result<bool> record_suspect(const SeriesSuspect&) override { return true; }
  Result<bool> is_beyond_limit(const SeriesCountRequest&) override { return false; }
  [[nodiscard]] Time latest_value_at_opening() const override { return {}; }
  Result<void> commit() override { return {}; }
};

class PipelineTest : public testing::Test {
 protected:
  void build(const std::string& routes, const std::string& options = "") {
    const config::Config config =
        config::parse("[gateway]\n" + options + kStart + routes, mistakes_);
    pipeline_ = Pipeline::build(config, kTypes, "key", mistakes_);
  }
  Decision decide() {
    EXPECT_TRUE(mistakes_.empty()) << mistakes_.text();
    auto decision = pipeline_->decide(provenance_, header_, ledger_);
    if (!decision) throw std::runtime_error(decision.error().message);
    return std::move(*decision);
  }

  config::Mistakes mistakes_{"test"};
  std::unique_ptr<Pipeline> pipeline_;
  NoLedger ledger_;
  std::string bytes_ =
      test::image("1.2.3", "1.2.4", "1.2.5", "1").text(tags::kStudyId, Vr::SH, "S").bytes();
  dicom::Header header_ = test::header_of(bytes_);
  Provenance provenance_{"id",    "CT1", "SLUICE", "10.1.2.3", "l", "1.2.840.10008.5.1.4.1.1.2",
                         "1.2.3", {}};
};

}  // namespace sluice::test
