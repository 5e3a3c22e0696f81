// make soak: as long as one likes. Exit code 1 when anything was lost, altered or forged.
#include <cstdlib>
#include <exception>
#include <iostream>
#include <string>

#include <CLI/CLI.hpp>

#include "tests/crash/soak.h"

using Report = sluice::test::Soak::Report;

int main(int argc, char** argv) {
  try {
    sluice::test::Soak::Options options{.is_chatty = true};
    long long seconds = options.limit.count();
    CLI::App app("Kills the gateway again and again while it works, and counts");
    app.add_option("--instances", options.instances, "to be acknowledged")->capture_default_str();
    app.add_option("--kills", options.kills, "at least")->capture_default_str();
    app.add_option("--seconds", seconds, "at most")->capture_default_str();
    app.add_option("--senders", options.senders)->capture_default_str();
    app.add_option("--seed", options.seed, "of chance")->capture_default_str();
    std::string fault;
    app.add_option("--cut", fault, "one power cut only, at \"call=any nth=53 seed=11\"");
    CLI11_PARSE(app, argc, argv);
    options.limit = std::chrono::seconds(seconds);
    sluice::test::Soak soak(options);
    const auto report = fault.empty() ? soak.run() : soak.cut_once(fault).value_or(Report{});
    sluice::test::Soak::print(report);
    const auto& table = report.table;
    const bool good = report.trouble.empty() && table.lost + table.altered + table.forwarded == 0;
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return EXIT_FAILURE;
  }
}
