#include "gateway/metrics/endpoint.h"

#include <chrono>
#include <cstddef>
#include <list>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gateway/base/counter.h"
#include "tests/support/http.h"
#include "tests/support/process.h"
#include "tests/support/raw_peer.h"

namespace sluice::metrics {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;
using test::http_answer;
using test::http_get;
using test::http_say;
using test::HttpAnswer;
using test::PeerEnd;
using test::RawPeer;
using ::testing::EndsWith;
using ::testing::HasSubstr;

constexpr milliseconds kShort{300};  // a deadline that is met on purpose

class EndpointTest : public testing::Test {
 protected:
  // `limits.deadline` is long but where a test waits for it.
  void start(Endpoint::Limits limits = {16, seconds(60)}) {
    config::Metrics config;
    config.port = 0;
    auto endpoint = Endpoint::start(
        config, [this] { return trouble(); }, limits);
    ASSERT_TRUE(endpoint) << endpoint.error().message;
    endpoint_ = std::move(*endpoint);
  }
  [[nodiscard]] std::uint16_t port() const { return endpoint_->port(); }
  void set_trouble(const std::string& trouble) {
    const std::lock_guard lock(mutex_);
    trouble_ = trouble;
  }
  [[nodiscard]] std::string trouble() {
    const std::lock_guard lock(mutex_);
    if (trouble_ == "throw") throw std::runtime_error("no memory");
    return trouble_;
  }

  std::unique_ptr<Endpoint> endpoint_;

 private:
  std::mutex mutex_;
  std::string trouble_;
};

TEST_F(EndpointTest, ShowsCountersAsPrometheusText) {
  start();
  count("sluice_test_shown_total", {{"outcome", "a"}}, 7);
  const HttpAnswer answer = http_get(port(), "/metrics");
  EXPECT_EQ(answer.status, "200");
  EXPECT_THAT(answer.head, HasSubstr("\r\nContent-Type: text/plain; version=0.0.4"));
  EXPECT_THAT(answer.head,
              HasSubstr("\r\nContent-Length: " + std::to_string(answer.body.size()) + "\r\n"));
  EXPECT_THAT(answer.body, HasSubstr("\nsluice_test_shown_total{outcome=\"a\"} 7\n"));
  EXPECT_THAT(answer.body, EndsWith("\n"));
  EXPECT_EQ(answer.end, PeerEnd::in_order);
  EXPECT_EQ(http_get(port(), "/metrics?name[]=up").status, "200");
}

TEST_F(EndpointTest, TellsHealthAndWhyThereIsNone) {
  start();
  const HttpAnswer good = http_get(port(), "/health");
  EXPECT_EQ(good.status, "200");
  EXPECT_EQ(good.body, "ok\n");
  set_trouble("storage faulted");
  const HttpAnswer bad = http_get(port(), "/health");
  EXPECT_EQ(bad.status, "503");
  EXPECT_EQ(bad.body, "storage faulted\n");
  // The counters are needed most just then.
  EXPECT_EQ(http_get(port(), "/metrics").status, "200");
}

TEST_F(EndpointTest, AnswersHeadByTheHeadAlone) {
  start();
  const HttpAnswer answer = http_say(port(), "HEAD /health HTTP/1.1\r\nHost: test\r\n\r\n");
  EXPECT_EQ(answer.status, "200");
  EXPECT_THAT(answer.head, HasSubstr("\r\nContent-Length: 3\r\n"));
  EXPECT_EQ(answer.body, "");
}

TEST_F(EndpointTest, RefusesOtherPathsAndMethods) {
  start();
  EXPECT_EQ(http_get(port(), "/").status, "404");
  EXPECT_EQ(http_get(port(), "/metrics/").status, "404");
  EXPECT_EQ(http_get(port(), "/../metrics").status, "404");
  for (const std::string method : {"POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT"}) {
    const HttpAnswer answer = http_say(
        port(), method + " /metrics HTTP/1.1\r\nHost: test\r\nContent-Length: 3\r\n\r\nabc");
    EXPECT_EQ(answer.status, "405") << method;
    EXPECT_THAT(answer.head, HasSubstr("\r\nAllow: GET, HEAD\r\n")) << method;
    EXPECT_EQ(answer.end, PeerEnd::in_order) << method;
  }
}

TEST_F(EndpointTest, RefusesWhatIsNoHttp) {
  start();
  const std::vector<std::string> rubbish = {
      "rubbish\r\n\r\n",
      "GET\r\n\r\n",
      "GET /metrics HTTP/9.9\r\n\r\n",
      "GET /metrics HTTP/1.1\r\nno colon here\r\n\r\n",
      "GET /metrics HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
      "GET /metrics HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n",
      std::string("GET /met") + '\0' + "rics HTTP/1.1\r\n\r\n",
      test::RequestParts().bytes(),                // an A-ASSOCIATE-RQ
      "\x16\x03\x01\x02" + std::string(512, 'x'),  // TLS
      std::string(4096, '\xff'),
  };
  for (const std::string& bytes : rubbish) {
    const HttpAnswer answer = http_say(port(), bytes);
    EXPECT_EQ(answer.status, "400") << bytes.substr(0, 40);
    EXPECT_EQ(answer.end, PeerEnd::in_order) << bytes.substr(0, 40);
  }
  EXPECT_EQ(http_get(port(), "/health").status, "200");
}

TEST_F(EndpointTest, RefusesARequestThatIsTooLong) {
  start();
  const std::string begin = "GET /metrics HTTP/1.1\r\n";
  const std::string long_line(10'000, 'a');
  std::string named = begin;
  named.append("Name: ").append(long_line);
  std::string many = begin;
  for (int i = 0; i < 1000; ++i)
    many.append("Name").append(std::to_string(i)).append(": value\r\n");
  for (const std::string& request :
       {"GET /" + long_line, begin + long_line, named, many + "\r\n"}) {
    const HttpAnswer answer = http_say(port(), request);
    EXPECT_EQ(answer.status, "431") << request.substr(0, 40);
    // By a reset the client might lose the answer.
    EXPECT_EQ(answer.end, PeerEnd::in_order) << request.substr(0, 40);
  }
}

TEST_F(EndpointTest, WaitsForTheClientToCloseButReadsNotForEver) {
  start();
  const RawPeer peer = RawPeer::connect(port());
  peer.send("GET /health HTTP/1.1\r\n\r\n");
  EXPECT_EQ(http_answer(peer).status, "200");
  // No reset yet, which might have overtaken the answer.
  EXPECT_FALSE(test::wait_until([&] { return !peer.send("x"); }, milliseconds(200)));
  constexpr std::size_t kFarTooMuch = std::size_t{64} << 20U;
  const std::string piece(100'000, 'x');
  std::size_t sent = 0;
  while (sent < kFarTooMuch && peer.send(piece)) sent += piece.size();
  EXPECT_LT(sent, kFarTooMuch);
}

TEST_F(EndpointTest, AnswersTheFirstOfPipelinedRequestsAndCloses) {
  start();
  const std::string request = "GET /health HTTP/1.1\r\nHost: test\r\n\r\n";
  const HttpAnswer answer = http_say(port(), request + request + request);
  EXPECT_EQ(answer.status, "200");
  EXPECT_EQ(answer.body, "ok\n");
  EXPECT_THAT(answer.head, HasSubstr("\r\nConnection: close\r\n"));
  EXPECT_EQ(answer.end, PeerEnd::in_order);
}

TEST_F(EndpointTest, EndsARequestThatDribblesOrStallsAtItsDeadline) {
  start({16, kShort});
  const auto begun = steady_clock::now();
  const RawPeer silent = RawPeer::connect(port());
  const RawPeer dribbling = RawPeer::connect(port());
  dribbling.send("GET /health HTTP/1.1\r\n");
  while (!dribbling.has_answer(milliseconds(10))) dribbling.send("a");
  EXPECT_TRUE(dribbling.is_closed());
  EXPECT_TRUE(silent.is_closed());
  EXPECT_GE(steady_clock::now() - begun, kShort);
}

TEST_F(EndpointTest, EndsAClientThatDoesNotReadAtItsDeadline) {
  start({1, kShort});
  // More than the socket's buffers hold.
  const GaugesOnDemand many([] {
    constexpr int kMany = 20'000;
    std::vector<GaugesOnDemand::Reading> readings;
    readings.reserve(kMany);
    for (int i = 0; i < kMany; ++i) {
      readings.push_back({"sluice_test_many",
                          {{"name", std::to_string(i) + std::string(500, 'x')}},
                          static_cast<double>(i)});
    }
    return readings;
  });
  const RawPeer deaf = RawPeer::connect(port());
  deaf.send("GET /metrics HTTP/1.1\r\n\r\n");
  ASSERT_TRUE(test::wait_until([&] { return deaf.is_hung_up(); }));
}

// With a deadline far away only giving way makes room.
TEST_F(EndpointTest, OfMoreThanItsLimitTheOldestGivesWay) {
  start({4, seconds(600)});
  std::list<RawPeer> crowd;
  for (int i = 0; i < 4; ++i) crowd.push_back(RawPeer::connect(port()));
  EXPECT_EQ(http_get(port(), "/health").status, "200");
  EXPECT_TRUE(crowd.front().is_closed());
  crowd.pop_front();
  // The others are served still.
  for (const RawPeer& waiting : crowd) {
    EXPECT_FALSE(waiting.is_hung_up());
    waiting.send("GET /health HTTP/1.1\r\n\r\n");
    EXPECT_EQ(http_answer(waiting).status, "200");
  }
  for (int i = 0; i < 100; ++i) crowd.push_back(RawPeer::connect(port()));
  EXPECT_EQ(http_get(port(), "/health").status, "200");
}

TEST_F(EndpointTest, ForgetsConnectionsThatAreOver) {
  start({16, seconds(600)});
  const RawPeer patient = RawPeer::connect(port());
  for (int i = 0; i < 64; ++i) EXPECT_EQ(http_get(port(), "/health").status, "200");
  patient.send("GET /health HTTP/1.1\r\n\r\n");
  EXPECT_EQ(http_answer(patient).status, "200");
}

TEST_F(EndpointTest, OutlivesConnectionsThatAreClosedBeforeTheirAnswer) {
  start({4, seconds(600)});
  for (int i = 0; i < 50; ++i) {
    RawPeer gone = RawPeer::connect(port());
    gone.send(i % 2 == 0 ? "GET /met" : "GET /metrics HTTP/1.1\r\n\r\n");
    if (i % 3 == 0) {
      gone.reset();
    } else {
      gone.close();
    }
  }
  EXPECT_EQ(http_get(port(), "/health").status, "200");
}

TEST_F(EndpointTest, OutlivesAnAnswerThatCannotBeMade) {
  start();
  set_trouble("throw");
  const RawPeer unlucky = RawPeer::connect(port());
  unlucky.send("GET /health HTTP/1.1\r\n\r\n");
  EXPECT_TRUE(unlucky.is_closed());  // long before its deadline
  set_trouble("");
  EXPECT_EQ(http_get(port(), "/health").status, "200");
}

TEST_F(EndpointTest, EndsAtOnceWithConnectionsOpen) {
  start({16, seconds(600)});
  const RawPeer silent = RawPeer::connect(port());
  const RawPeer half = RawPeer::connect(port());
  half.send("GET /metr");
  const std::uint16_t was = port();
  EXPECT_EQ(http_get(was, "/health").status, "200");  // so the others were taken
  endpoint_.reset();
  EXPECT_TRUE(silent.is_closed());
  EXPECT_TRUE(half.is_closed());
  EXPECT_THROW((void)RawPeer::connect(was), std::runtime_error);
}

TEST_F(EndpointTest, SaysWhereItCannotListen) {
  const test::RawListener taken;
  config::Metrics config;
  config.port = taken.port();
  const auto endpoint = Endpoint::start(config, [] { return ""; });
  ASSERT_FALSE(endpoint);
  EXPECT_EQ(endpoint.error().code, ErrorCode::configuration);
  EXPECT_THAT(endpoint.error().message,
              HasSubstr("127.0.0.1 port " + std::to_string(taken.port())));
}

TEST_F(EndpointTest, ListensOnBothFamiliesWhenToldTo) {
  config::Metrics config{"::", 0};
  auto endpoint = Endpoint::start(config, [] { return ""; });
  if (!endpoint) GTEST_SKIP() << "no IPv6 here: " << endpoint.error().message;
  EXPECT_EQ(http_get((*endpoint)->port(), "/health").status, "200");
}

}  // namespace
}  // namespace sluice::metrics
