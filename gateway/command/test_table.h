// [[test]] tables: what must become of an image, for `sluice test`. Their form is checked with
// the configuration's; docs/testing-a-configuration.md says what each key means.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "gateway/config/config.h"
#include "gateway/dicom/header.h"
#include "gateway/pipeline/condition.h"
#include "gateway/pipeline/value_condition.h"

namespace sluice::command {

// The site key of all tests, so that hashed UIDs can be expected.
inline constexpr const char* kTestKey = "test";

struct ConfigurationTest {
  std::string name;  // default "test N", from 1
  int line = 0;

  // Of these two, one.
  std::string image;                  // a Part 10 file; "": made of attributes
  std::optional<dicom::Header> made;  // of `attributes`

  std::string calling_ae_title = "MODALITY";
  std::string called_ae_title = "SLUICE";
  std::string peer_address = "127.0.0.1";
  std::string listener;                                              // default: the first
  std::optional<std::chrono::system_clock::time_point> received_at;  // nullopt: now
  bool fresh_ledger = false;  // what tests before it have decided is forgotten

  // What is expected; nullopt in these: anything. Lists are sorted.
  std::optional<std::vector<std::string>> routes;
  std::optional<std::vector<std::string>> labels;
  // The route that what follows is about; "": each that took it.
  std::string route;
  std::optional<std::string> verdict;
  std::optional<ValueCondition> reason;
  std::optional<std::uint16_t> status;
  std::optional<std::vector<std::string>> destinations;
  std::optional<Condition> values;  // behind the chain
  std::optional<bool> unchanged;
};

// Notes every mistake. `folder`: where relative paths of images count from.
[[nodiscard]] std::vector<ConfigurationTest> read_tests(std::vector<config::Table> tables,
                                                        const config::Config& config,
                                                        const std::string& folder);

}  // namespace sluice::command
