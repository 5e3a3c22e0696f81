// The wall clock is stepped while deliveries wait: back-off is on the monotonic clock, so
// that retries come neither sooner nor later. libfaketime steps it, for the gateway only.
#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>

#include "tests/e2e/attack.h"
#include "tests/e2e/dcmtk_tools.h"
#include "tests/e2e/gateway_process.h"

namespace sluice::test {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

// A PACS that closes each connection at once, and knows when each came.
class ClosingPacs {
 public:
  ClosingPacs() : thread_([this] { close_all(); }) {}
  ~ClosingPacs() {
    ending_ = true;
    static_cast<void>(RawPeer::connect(listener_.port()));  // wakes accept()
    thread_.join();
  }
  ClosingPacs(const ClosingPacs&) = delete;
  ClosingPacs& operator=(const ClosingPacs&) = delete;

  [[nodiscard]] std::uint16_t port() const { return listener_.port(); }
  [[nodiscard]] std::vector<steady_clock::time_point> visits() const {
    const std::lock_guard lock(mutex_);
    return visits_;
  }

 private:
  void close_all() {
    while (!ending_) {
      const RawPeer peer = listener_.accept();
      const std::lock_guard lock(mutex_);
      visits_.push_back(steady_clock::now());
    }
  }

  RawListener listener_;
  mutable std::mutex mutex_;
  std::vector<steady_clock::time_point> visits_;
  std::atomic<bool> ending_ = false;
  std::thread thread_;
};

std::optional<std::string> faketime_library() {
  for (const auto& folder : fs::directory_iterator("/usr/lib")) {
    const fs::path library = folder.path() / "faketime" / "libfaketimeMT.so.1";
    if (fs::exists(library)) return library.string();
  }
  return std::nullopt;
}

// The seconds that the gateway's wall clock is ahead.
void set_clock(const std::string& file, const std::string& seconds) {
  std::ofstream(file + ".new") << seconds << '\n';
  fs::rename(file + ".new", file);  // never seen half written
}

TEST(WallClock, SteppedAnHourForthAndBackChangesNoRetry) {
  const auto library = faketime_library();
  if (kSanitized || !library) GTEST_SKIP() << "needs libfaketime, and no sanitizer before it";
  constexpr milliseconds kShortest{500};  // half of retry_min, by jitter
  constexpr milliseconds kLongest{10'000};
  const TemporaryFolder folder;
  const ClosingPacs pacs;
  GatewayProcess gateway(folder.path("gateway"),
                         "[[destination]]\nname = \"pacs\"\naddress = \"dicom://PACS@127.0.0.1:" +
                             std::to_string(pacs.port()) +
                             "\"\nassociations = 1\nretry_min = \"1s\"\nretry_max = \"1s\"\n"
                             "[[route]]\ndestinations = [\"pacs\"]\n");
  const std::string clock = folder.path("clock");
  set_clock(clock, "+0");
  gateway.start_through({"env", "LD_PRELOAD=" + *library, "FAKETIME_TIMESTAMP_FILE=" + clock,
                         "FAKETIME_NO_CACHE=1", "DONT_FAKE_MONOTONIC=1"});
  gateway.start();
  ASSERT_TRUE(send_images(gateway.port(), {fixture("CT_small.dcm")}));

  std::vector<std::string> hours;  // of the gateway's log, after each step
  for (const char* step : {"+0", "+3600", "-3600"}) {
    set_clock(clock, step);
    const std::size_t seen = pacs.visits().size();
    ASSERT_TRUE(wait_until([&] { return pacs.visits().size() >= seen + 3; })) << gateway.log();
    const auto line = gateway.lines("deferred").back();
    hours.push_back(
        line.at("time").get<std::string>().substr(0, std::string("2000-01-01T00").size()));
  }
  EXPECT_NE(hours[0], hours[1]) << "the clock was not stepped";
  EXPECT_NE(hours[1], hours[2]) << "the clock was not stepped";
  const auto visits = pacs.visits();
  for (std::size_t i = 1; i < visits.size(); ++i) {
    EXPECT_GE(visits[i] - visits[i - 1], kShortest - milliseconds(20)) << i;
    EXPECT_LT(visits[i] - visits[i - 1], kLongest) << i;
  }
  EXPECT_EQ(gateway.stop(), 0) << gateway.log();
}

}  // namespace
}  // namespace sluice::test
