// The configuration: any text is read whole, every mistake has a line of the file, and what
// has none can be used.
#include "gateway/config/config.h"

#include <algorithm>
#include <memory>
#include <string>

#include "filters/filters.h"
#include "gateway/config/address.h"
#include "gateway/config/quantity.h"
#include "gateway/pipeline/pipeline.h"
#include "tests/dicom/data_set_bytes.h"
#include "tests/fuzz/memory_ledger.h"
#include "tests/fuzz/quiet.h"
#include "tests/fuzz/targets.h"

namespace sluice::fuzz {
namespace {

struct Built {
  explicit Built(std::string_view text) : mistakes("sluice.toml") {
    config = config::parse(text, mistakes);
    pipeline = Pipeline::build(config, filter_types(), std::string(64, '5'), mistakes);
  }
  config::Mistakes mistakes;
  config::Config config;
  std::unique_ptr<Pipeline> pipeline;
};

void check_mistakes(const config::Mistakes& mistakes, std::string_view text) {
  const auto lines = 1 + std::ranges::count(text, '\n');
  for (const config::Mistake& mistake : mistakes.list()) {
    require(mistake.line >= 0 && mistake.line <= lines, "a mistake has a line of the file",
            [&] { return std::to_string(mistake.line) + ": " + mistake.message; });
    require(!mistake.message.empty(), "a mistake says what is wrong");
    require(std::ranges::none_of(mistake.message, [](unsigned char c) { return c < 0x20; }),
            "a mistake is one line of text", [&] { return mistake.message; });
  }
  const std::string told = mistakes.text();
  require(std::ranges::count(told, '\n') == static_cast<std::ptrdiff_t>(mistakes.list().size()),
          "each mistake is told in a line of its own");
}

void check_timeouts(const config::Config& config) {
  using std::chrono::milliseconds;
  for (const config::Listener& listener : config.listeners) {
    for (const milliseconds time : {listener.request_timeout, listener.idle_timeout,
                                    listener.stall_timeout, listener.message_timeout}) {
      require(time > milliseconds(0) && time <= config::kLongestDuration, "a time-out is usable");
    }
    require(listener.max_pdu >= 4096 && listener.max_pdu <= 131'072, "dcmnet takes the PDU size");
    require(config::is_ip_address(listener.address), "a listener has an address");
  }
  for (const config::Destination& destination : config.destinations) {
    require(destination.associations > 0, "a destination has associations");
    require(destination.retry_min <= destination.retry_max, "the back-off grows");
    const bool is_folder = destination.scheme == "file";
    require(is_folder ? destination.folder.starts_with('/')
                      : destination.port != 0 && !destination.host.empty(),
            "a destination can be reached");
  }
}

void check_routes(const config::Config& config, const Pipeline& pipeline) {
  require(!config.listeners.empty() && !config.destinations.empty() && !config.routes.empty(),
          "there is a listener, a destination and a route");
  require(pipeline.routes().size() == config.routes.size(), "every route is built");
  for (const config::Route& route : config.routes) {
    require(!route.destinations.empty(), "a route leads somewhere");
    for (const std::string& name : route.destinations) {
      require(std::ranges::count(config.destinations, name, &config::Destination::name) == 1,
              "a route leads to a destination that there is");
    }
  }
  // The filters run with what was configured.
  const auto header = test::scan_text("", test::Form::explicit_le);
  MemoryLedger ledger(false);
  require(header && pipeline.decide({}, *header, ledger), "an empty data set gets a decision");
}

}  // namespace

void configuration(Bytes bytes) {
  keep_quiet();
  const std::string_view text = text_of(bytes);
  const Built built(text);
  check_mistakes(built.mistakes, text);
  require(Built(text).mistakes.text() == built.mistakes.text(), "the same text, the same mistakes");
  if (!built.mistakes.empty()) return;
  check_timeouts(built.config);
  check_routes(built.config, *built.pipeline);
}

}  // namespace sluice::fuzz
