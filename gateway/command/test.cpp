// `sluice test`: what [[test]] tables expect, compared with what routes and filters do.
#include <filesystem>
#include <iostream>

#include <nlohmann/json.hpp>

#include "gateway/base/log.h"
#include "gateway/command/command.h"
#include "gateway/command/setup.h"
#include "gateway/command/test_run.h"
#include "gateway/command/test_table.h"

namespace sluice::command {
namespace {

using nlohmann::json;

// What is needed of a file; `tests` refer to the mistakes.
struct TestPlan {
  std::unique_ptr<config::Mistakes> mistakes;  // of a file that names its configuration
  Setup setup;
  std::vector<ConfigurationTest> tests;
};

TestPlan plan_of(const std::string& path) {
  TestPlan plan;
  plan.mistakes = std::make_unique<config::Mistakes>(path);
  const auto file = config::load_test_file(path, *plan.mistakes);
  plan.setup = load(file ? file->config_file : path, kTestKey, &plan.tests);
  if (file) {
    plan.tests = read_tests(file->tests, plan.setup.config,
                            std::filesystem::path(path).parent_path().string());
  }
  if (plan.tests.empty() && plan.mistakes->empty() && plan.setup.mistakes->empty()) {
    plan.mistakes->add(0, "no [[test]] here");
  }
  return plan;
}

struct TestCounts {
  int run = 0;
  int failed = 0;
  int unreadable = 0;
  int mistakes = 0;  // in files
};

json unmet_json(const UnmetExpectation& one) {
  return {{"key", one.key},
          {"route", one.route},
          {"expected", log::escape(one.expected)},
          {"got", log::escape(one.got)}};
}

void print_result(const std::string& file, const ConfigurationTest& test, const json& result) {
  const bool is_met = result["ok"].get<bool>();
  std::cout << (is_met ? "ok      " : "FAILED  ") << log::escape(test.name);
  if (!is_met) std::cout << "  (" << file << ':' << test.line << ')';
  std::cout << '\n';
  for (const json& one : result["unmet"]) {
    const auto route = one["route"].get<std::string>();
    std::cout << "    " << one["key"].get<std::string>()
              << (route.empty() ? "" : " by route " + route) << ": expected "
              << one["expected"].get<std::string>() << ", got " << one["got"].get<std::string>()
              << '\n';
  }
  if (result.contains("error")) std::cout << "    " << result["error"].get<std::string>() << '\n';
}

json run_one(const ConfigurationTest& test, const Setup& setup, Ledger& ledger,
             TestCounts& counts) {
  ++counts.run;
  json result = {{"name", log::escape(test.name)}, {"line", test.line}, {"unmet", json::array()}};
  const auto unmet = run_test(test, setup, ledger);
  if (!unmet) {
    result["error"] = unmet.error().message;
    ++counts.unreadable;
  } else {
    for (const UnmetExpectation& one : *unmet) result["unmet"].push_back(unmet_json(one));
  }
  result["ok"] = unmet && unmet->empty();
  if (!result["ok"].get<bool>()) ++counts.failed;
  return result;
}

Result<json> run_plan(const std::string& path, const TestPlan& plan, bool as_json,
                      TestCounts& counts) {
  json results = json::array();
  std::unique_ptr<Ledger> ledger;
  for (const ConfigurationTest& test : plan.tests) {
    if (ledger == nullptr || test.fresh_ledger) {
      auto made = preview_ledger("");  // of no file: empty
      if (!made) return tl::unexpected(made.error());
      ledger = std::move(*made);
    }
    results.push_back(run_one(test, plan.setup, *ledger, counts));
    if (!as_json) print_result(path, test, results.back());
  }
  return results;
}

json told_mistakes(const TestPlan& plan, bool as_json) {
  json told = json::array();
  for (const auto* mistakes : {plan.mistakes.get(), plan.setup.mistakes.get()}) {
    if (!as_json && !mistakes->empty()) std::cerr << mistakes->text();
    for (const config::Mistake& one : mistakes->list()) {
      told.push_back({{"file", mistakes->file()}, {"line", one.line}, {"message", one.message}});
    }
  }
  return told;
}

}  // namespace

int test(const TestOptions& options) {
  log::configure(log::Level::error, log::Format::human);
  TestCounts counts;
  json files = json::array();
  for (const std::string& path : options.files) {
    const TestPlan plan = plan_of(path);
    json mistakes = told_mistakes(plan, options.json);
    json results = json::array();
    if (mistakes.empty()) {
      auto run = run_plan(path, plan, options.json, counts);
      if (!run) return fail(run.error().message);
      results = std::move(*run);
    } else {
      ++counts.mistakes;
    }
    files.push_back(
        {{"file", path}, {"mistakes", std::move(mistakes)}, {"tests", std::move(results)}});
  }
  if (options.json) {
    std::cout << json{{"files", files}, {"tests", counts.run}, {"failed", counts.failed}}.dump(2)
              << '\n';
  } else {
    std::cout << counts.run << " test(s), " << counts.failed << " failed";
    if (counts.mistakes > 0) std::cout << "; " << counts.mistakes << " file(s) with mistakes";
    std::cout << '\n';
  }
  if (counts.unreadable > 0) return kFailed;
  return counts.failed > 0 || counts.mistakes > 0 ? kMistakes : kOk;
}

}  // namespace sluice::command
