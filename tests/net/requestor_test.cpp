#include "gateway/net/requestor.h"

#include <algorithm>
#include <functional>
#include <future>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "tests/net/script.h"
#include "tests/support/fixtures.h"
#include "tests/support/process.h"
#include "tests/support/raw_peer.h"

namespace sluice::net {
namespace {

using namespace sluice::test;
using std::chrono::milliseconds;

// Gives its bytes when something has happened.
class WaitingSource : public DataSource {
 public:
  explicit WaitingSource(std::future<void> event) : event_(std::move(event)) {}
  Result<std::size_t> read(std::span<std::byte> buffer) override {
    if (read_ >= kAtOnce) event_.wait();
    auto length = source_.read(buffer);
    read_ += length.value_or(0);
    return length;
  }

 private:
  static constexpr std::size_t kAtOnce = 40'000;  // some PDUs
  std::future<void> event_;
  std::size_t read_ = 0;
  StringSource source_{std::string(100'000, 'x')};
};

TEST(Requestor, StoresIntoARealPacs) {
  const TemporaryFolder folder;
  const std::uint16_t port = free_port();
  Process pacs({"storescp", "-od", folder.path(), "-aet", "PACS", std::to_string(port)});
  ASSERT_TRUE(wait_for_port(port));
  auto requestor = Requestor::open(options(port));
  ASSERT_TRUE(requestor) << requestor.error().message;
  ASSERT_EQ(requestor->contexts().size(), 3U);
  EXPECT_EQ(requestor->contexts()[0].abstract_syntax, kCtStorage);
  EXPECT_EQ(requestor->echo(5).value_or(0xFFFF), 0);
  const std::string syntax = requestor->contexts()[1].transfer_syntax;
  ASSERT_EQ(syntax, kImplicit);
  for (int i = 0; i < 3; ++i) {
    const std::string uid = kInstance + "." + std::to_string(i);
    StringSource source(small_data_set(kMrStorage, uid));
    const auto response = requestor->store(3, kMrStorage, uid, source);
    ASSERT_TRUE(response) << response.error().message;
    EXPECT_EQ(response->status, 0);
    EXPECT_TRUE(requestor->is_open());
  }
  requestor->release();
  EXPECT_FALSE(requestor->is_open());
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 3);
}

TEST(Requestor, CutsTheDataSetIntoPdvsOfThePeersSize) {
  const std::string data(std::size_t{10010}, 'x');
  std::vector<std::string> pdus;
  std::string request;
  Script peer([&](RawPeer& raw) {
    request = raw.receive_pdu();
    raw.send(associate_accept(kAll, 1017));
    pdus = receive_message(raw);
    raw.send(data_pdu(
        pdv(3, true, true, store_response(kMrStorage, kInstance, message_id_of(pdus.front())))));
    static_cast<void>(raw.receive_pdu());
    raw.send(release_response());
  });
  auto requestor = Requestor::open(options(peer.port()));
  ASSERT_TRUE(requestor);
  StringSource source(data, 7);  // pieces of odd length do not show
  const auto response = requestor->store(3, kMrStorage, kInstance, source);
  ASSERT_TRUE(response) << response.error().message;
  requestor->release();
  EXPECT_EQ(pdus.front(),
            data_pdu(pdv(3, true, true,
                         store_request(kMrStorage, kInstance, message_id_of(pdus.front())))));
  std::string received;
  for (std::size_t i = 1; i < pdus.size(); ++i) {
    const bool last = i + 1 == pdus.size();
    EXPECT_LE(pdus[i].size(), 1017U + 6U);
    EXPECT_EQ(pdus[i][10], 3);
    EXPECT_EQ(pdus[i][11], last ? 2 : 0);
    EXPECT_EQ(pdus[i].size() % 2, 0U);
    received += pdus[i].substr(12);
  }
  EXPECT_EQ(received, data);
  EXPECT_EQ(pdus.size(), 1 + (data.size() + 1003) / 1004);
}

TEST(Requestor, MarksTheLastPdvAlsoWhenItIsFullOrEmpty) {
  for (const std::size_t length : {std::size_t{0}, std::size_t{1012}, std::size_t{2024}}) {
    std::vector<std::string> pdus;
    Script peer([&](RawPeer& raw) {
      accept_all(raw, 1024);
      pdus = receive_message(raw);
      raw.send(data_pdu(
          pdv(1, true, true, store_response(kCtStorage, kInstance, message_id_of(pdus.front())))));
    });
    auto requestor = Requestor::open(options(peer.port()));
    ASSERT_TRUE(requestor);
    StringSource source(std::string(length, 'x'));
    ASSERT_TRUE(requestor->store(1, kCtStorage, kInstance, source));
    EXPECT_EQ(pdus.size(), 1 + std::max<std::size_t>(1, length / 1012));
    EXPECT_EQ(pdus.back()[11], 2);
  }
}

TEST(Requestor, GivesStatusAndCommentAsTheyAre) {
  Script peer([](RawPeer& raw) {
    accept_all(raw);
    const std::size_t id = message_id_of(receive_message(raw).front());
    raw.send(data_pdu(
        pdv(1, true, true,
            command_set(element(0x0100, little16(0x8001)) + element(0x0120, little16(id)) +
                        element(0x0800, little16(0x0101)) + element(0x0900, little16(0xB007)) +
                        element(0x0902, "coerced", ' ')))));
  });
  auto requestor = Requestor::open(options(peer.port()));
  ASSERT_TRUE(requestor);
  StringSource source("data");
  const auto response = requestor->store(1, kCtStorage, kInstance, source);
  ASSERT_TRUE(response) << response.error().message;
  EXPECT_EQ(response->status, 0xB007);
  EXPECT_EQ(response->error_comment, "coerced");
}

// Also over associations: an answer that comes on a later one fits nothing there.
TEST(Requestor, GivesNoMessageIdTwice) {
  std::set<std::size_t> ids;
  for (int association = 0; association < 2; ++association) {
    Script peer([&](RawPeer& raw) {
      accept_all(raw);
      for (int i = 0; i < 3; ++i) {
        const std::size_t id = message_id_of(receive_message(raw).front());
        ids.insert(id);
        raw.send(data_pdu(pdv(1, true, true, store_response(kCtStorage, kInstance, id))));
      }
    });
    auto requestor = Requestor::open(options(peer.port()));
    ASSERT_TRUE(requestor);
    for (int i = 0; i < 3; ++i) {
      StringSource source("data");
      EXPECT_TRUE(requestor->store(1, kCtStorage, kInstance, source));
    }
  }
  EXPECT_EQ(ids.size(), 6U);
}

// The peer answers the command, and reads the data set when the answer is under way.
TEST(Requestor, TakesARefusalBeforeTheDataSetIsSentButNoSuccess) {
  for (const std::size_t status : {0x0000U, 0xB000U, 0xA700U}) {
    std::promise<void> answered;
    Script peer([&](RawPeer& raw) {
      accept_all(raw);
      const std::size_t id = message_id_of(raw.receive_pdu());
      raw.send(data_pdu(pdv(1, true, true, store_response(kCtStorage, kInstance, id, status))));
      answered.set_value();
      while (!raw.receive_pdu().empty()) continue;
    });
    RequestorOptions small = options(peer.port());
    small.max_pdu = 16'384;
    auto requestor = Requestor::open(small);
    ASSERT_TRUE(requestor);
    WaitingSource source(answered.get_future());
    const auto response = requestor->store(1, kCtStorage, kInstance, source);
    EXPECT_EQ(response.has_value(), status == 0xA700U);
    EXPECT_EQ(requestor->is_open(), status == 0xA700U);
    requestor->release();
  }
}

TEST(Requestor, SilenceEndsAtTheDeadline) {
  Script peer([](RawPeer& raw) {
    accept_all(raw);
    receive_message(raw);
    EXPECT_EQ(raw.receive(10), abort_pdu(0, 0));
  });
  RequestorOptions impatient = options(peer.port());
  impatient.response_timeout = milliseconds(300);
  auto requestor = Requestor::open(impatient);
  ASSERT_TRUE(requestor);
  StringSource source("data");
  const auto response = requestor->store(1, kCtStorage, kInstance, source);
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code, ErrorCode::transient);
}

TEST(Requestor, AResponseThatDribblesEndsAtTheDeadline) {
  Script peer([](RawPeer& raw) {
    accept_all(raw);
    receive_message(raw);
    const std::string bytes =
        data_pdu(pdv(1, true, true, store_response(kCtStorage, kInstance, 1)));
    for (const char byte : bytes) {
      if (!raw.send(std::string(1, byte))) return;
      std::this_thread::sleep_for(milliseconds(20));
    }
  });
  RequestorOptions impatient = options(peer.port());
  impatient.response_timeout = milliseconds(500);
  auto requestor = Requestor::open(impatient);
  ASSERT_TRUE(requestor);
  StringSource source("data");
  EXPECT_FALSE(requestor->store(1, kCtStorage, kInstance, source));
}

TEST(Requestor, APeerThatDoesNotReadEndsAtTheDeadline) {
  Script peer([](RawPeer& raw) {
    accept_all(raw);
    static_cast<void>(raw.receive_pdu());
    std::this_thread::sleep_for(milliseconds(1500));
  });
  RequestorOptions impatient = options(peer.port());
  impatient.response_timeout = milliseconds(300);
  auto requestor = Requestor::open(impatient);
  ASSERT_TRUE(requestor);
  StringSource source(std::string(64 << 20, 'x'), 1 << 20);
  const auto response = requestor->store(1, kCtStorage, kInstance, source);
  ASSERT_FALSE(response);
  EXPECT_NE(response.error().message.find("no byte for 300 ms"), std::string::npos)
      << response.error().message;
}

TEST(Requestor, AnErrorOfTheSourceAborts) {
  Script peer([](RawPeer& raw) {
    accept_all(raw);
    EXPECT_EQ(raw.receive(10), abort_pdu(0, 0)) << "the command leaves with the first data";
  });
  auto requestor = Requestor::open(options(peer.port()));
  ASSERT_TRUE(requestor);
  FailingSource source;
  const auto response = requestor->store(1, kCtStorage, kInstance, source);
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code, ErrorCode::corrupt);
  EXPECT_FALSE(requestor->is_open());
}

TEST(Requestor, ANotAcceptedContextIsRefusedBeforeAnythingIsSent) {
  Script peer([](RawPeer& raw) {
    static_cast<void>(raw.receive_pdu());
    raw.send(associate_accept({{1, kExplicit}, {3, kExplicit}, {77, kImplicit}}));
    EXPECT_EQ(raw.receive_pdu().substr(0, 1), "\5");
    raw.send(release_response());
  });
  auto requestor = Requestor::open(options(peer.port()));
  ASSERT_TRUE(requestor);
  // 3 was accepted in a syntax that was not proposed, 77 was never proposed.
  ASSERT_EQ(requestor->contexts().size(), 1U);
  EXPECT_EQ(requestor->contexts()[0].transfer_syntax, kExplicit);
  StringSource source("data");
  const auto response = requestor->store(3, kMrStorage, kInstance, source);
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code, ErrorCode::permanent);
  EXPECT_TRUE(requestor->is_open());
  requestor->release();
}

TEST(Requestor, NoticesBetweenMessagesThatThePeerIsGone) {
  for (const std::string& last : {abort_pdu(0, 0), release_request(), std::string()}) {
    Script peer([&](RawPeer& raw) {
      accept_all(raw);
      raw.send(last);
      if (!last.empty()) static_cast<void>(raw.is_closed());
    });
    auto requestor = Requestor::open(options(peer.port()));
    ASSERT_TRUE(requestor);
    EXPECT_TRUE(wait_until([&] { return !requestor->is_open(); }));
  }
}

TEST(Requestor, AbortsWhenItIsDestroyed) {
  Script peer([](RawPeer& raw) {
    accept_all(raw);
    EXPECT_EQ(raw.receive(100), abort_pdu(0, 0));
  });
  auto requestor = Requestor::open(options(peer.port()));
  ASSERT_TRUE(requestor);
}

TEST(Requestor, AbortsWhenAReleaseIsNotAnswered) {
  Script peer([](RawPeer& raw) {
    accept_all(raw);
    EXPECT_EQ(raw.receive_pdu(), release_request());
    EXPECT_EQ(raw.receive(100), abort_pdu(0, 0));
  });
  RequestorOptions impatient = options(peer.port());
  impatient.response_timeout = milliseconds(300);
  auto requestor = Requestor::open(impatient);
  ASSERT_TRUE(requestor);
  requestor->release();
  EXPECT_FALSE(requestor->is_open());
}

TEST(Requestor, WaitsForTheAssociationNoLongerThanTheDeadline) {
  Script peer([](RawPeer& raw) {
    static_cast<void>(raw.receive_pdu());
    static_cast<void>(raw.receive(100));
  });
  RequestorOptions impatient = options(peer.port());
  impatient.response_timeout = milliseconds(300);
  const auto requestor = Requestor::open(impatient);
  ASSERT_FALSE(requestor);
  EXPECT_EQ(requestor.error().code, ErrorCode::transient);
  EXPECT_NE(requestor.error().message.find("the deadline passed"), std::string::npos)
      << requestor.error().message;
}

TEST(Requestor, TellsWhereItCouldNotConnect) {
  const std::uint16_t port = free_port();
  const auto requestor = Requestor::open(options(port));
  ASSERT_FALSE(requestor);
  EXPECT_EQ(requestor.error().code, ErrorCode::transient);
  EXPECT_NE(requestor.error().message.find(std::to_string(port)), std::string::npos);
}

// What keeps an association from being there is told apart, for those who advise.
TEST(Requestor, TellsWhyThereIsNoAssociation) {
  using Kind = OpenError::Kind;
  const auto kind_with = [](const std::function<void(RawPeer&)>& play) {
    const Script peer([&](RawPeer& raw) {
      static_cast<void>(raw.receive_pdu());
      play(raw);
    });
    RequestorOptions impatient = options(peer.port());
    impatient.response_timeout = milliseconds(300);
    return Requestor::open(impatient).error();
  };
  const OpenError rejected = kind_with([](RawPeer& raw) { raw.send(reject_pdu(2, 3, 1)); });
  EXPECT_EQ(rejected.kind, Kind::rejected);
  ASSERT_TRUE(rejected.rejection);
  EXPECT_EQ(rejected.rejection->result, Rejection::transient);
  EXPECT_EQ(source_text(*rejected.rejection), "service provider, presentation");
  EXPECT_EQ(kind_with([](RawPeer& raw) { raw.close(); }).kind, Kind::ended);
  EXPECT_EQ(kind_with([](RawPeer& raw) { raw.send(abort_pdu(0, 0)); }).kind, Kind::ended);
  EXPECT_EQ(kind_with([](RawPeer& raw) { (void)raw.receive(1); }).kind, Kind::silent);
  EXPECT_EQ(kind_with([](RawPeer& raw) { raw.send(associate_accept({})); }).kind, Kind::unusable);
  EXPECT_EQ(Requestor::open(options(free_port())).error().kind, Kind::refused);
  RequestorOptions unknown = options(104);
  unknown.host = "no-such-host.invalid";
  EXPECT_EQ(Requestor::open(unknown).error().kind, Kind::unknown_host);
}

TEST(Requestor, TellsWhoAcceptedTheAssociation) {
  const Script script([](RawPeer& raw) {
    accept_all(raw, 8192);
    static_cast<void>(raw.receive(1));
  });
  const auto requestor = Requestor::open(options(script.port()));
  ASSERT_TRUE(requestor) << requestor.error().message;
  const Peer& peer = requestor->peer();
  EXPECT_EQ(peer.implementation_class_uid, "1.2.3.4");
  EXPECT_EQ(peer.implementation_version_name, "");
  EXPECT_EQ(peer.max_pdu, 8192U);
  EXPECT_EQ(peer.tls, "");
  EXPECT_GT(peer.connected_in.count(), 0);
}

TEST(Requestor, ChecksItsOptions) {
  Script peer([](RawPeer& raw) { static_cast<void>(raw.receive(100)); });
  RequestorOptions wrong = options(peer.port());
  wrong.called_ae_title = "MORE_THAN_SIXTEEN";
  const auto requestor = Requestor::open(wrong);
  ASSERT_FALSE(requestor);
  EXPECT_EQ(requestor.error().code, ErrorCode::configuration);
}

TEST(Requestor, OpensManyAtOnceFromManyThreads) {
  const std::uint16_t port = free_port();
  Process pacs({"storescp", "--fork", "--ignore", "-aet", "PACS", std::to_string(port)});
  ASSERT_TRUE(wait_for_port(port));
  std::vector<std::thread> threads;
  threads.reserve(4);
  std::atomic<int> stored = 0;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < 5; ++round) {
        auto requestor = Requestor::open(options(port));
        if (!requestor) continue;
        StringSource source(small_data_set(kCtStorage, kInstance));
        const auto response = requestor->store(3, kMrStorage, kInstance, source);
        if (response && response->status == 0) ++stored;
        requestor->release();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(stored, 20);
}

}  // namespace
}  // namespace sluice::net
