#include "gateway/receive/server.h"

#include <functional>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "gateway/base/counter.h"
#include "gateway/net/command_set.h"
#include "tests/receive/running.h"
#include "tests/support/failing_calls.h"
#include "tests/support/fixtures.h"
#include "tests/support/process.h"
#include "tests/support/raw_peer.h"

namespace sluice {
namespace {

using namespace sluice::test;
using std::chrono::milliseconds;

TEST(Server, AnswersEchoscu) {
  const Running running;
  Process echo({"echoscu", "-aec", "ANY", "127.0.0.1", std::to_string(running.port)});
  EXPECT_EQ(echo.wait(), 0) << echo.output();
}

// The data set of a Part 10 file, and what its meta information says of it (PS3.10 7.1).
struct PartTen {
  explicit PartTen(const std::string& path) {
    const std::string bytes = read_file(path);
    const auto number = [&](std::size_t place) {
      return static_cast<unsigned char>(bytes[place]) |
             static_cast<std::size_t>(static_cast<unsigned char>(bytes[place + 1])) << 8U;
    };
    std::size_t place = 132;
    while (number(place) == 2) {
      const bool is_long = bytes.substr(place + 4, 2) == "OB";
      const std::size_t value = place + (is_long ? 12 : 8);
      const std::size_t length = number(place + (is_long ? 8 : 6));
      const std::string text = bytes.substr(value, length);
      const std::string uid = text.substr(0, text.find('\0'));
      if (number(place + 2) == 0x02) sop_class = uid;
      if (number(place + 2) == 0x03) sop_instance = uid;
      if (number(place + 2) == 0x10) transfer_syntax = uid;
      place = value + length;
    }
    data_set = bytes.substr(place);
  }
  std::string sop_class;
  std::string sop_instance;
  std::string transfer_syntax;
  std::string data_set;
};

TEST(Server, KeepsRealImagesByteForByte) {
  const Running running;
  for (const char* name : {"CT_small.dcm", "MR_small.dcm", "reportsi.dcm", "693_J2KI.dcm",
                           "ExplVR_BigEnd.dcm", "JPEG2000.dcm", "image_dfl.dcm"}) {
    PartTen image(fixture(name));
    // This one has a gzip trailer behind its deflated data set; PS3.5 A.5 has one NUL.
    if (name == std::string("image_dfl.dcm")) {
      image.data_set.resize(image.data_set.size() - 8);
      image.data_set.push_back('\0');
    }
    RequestParts parts;
    parts.contexts = context_item(7, image.sop_class, {image.transfer_syntax});
    const RawPeer peer = running.associate(parts);
    std::string pdus =
        data_pdu(pdv(7, true, true, store_request(image.sop_class, image.sop_instance)));
    for (std::size_t place = 0; place < image.data_set.size(); place += 9'999) {
      const bool last = place + 9'999 >= image.data_set.size();
      pdus += data_pdu(pdv(7, false, last, image.data_set.substr(place, 9'999)));
    }
    peer.send(pdus);
    const auto set = response(peer);
    ASSERT_EQ(set.number(net::command::kStatus), 0)
        << name << ": " << set.text(net::command::kErrorComment);
    const auto added = running.gateway.queue.added().back().instance;
    EXPECT_EQ(added.transfer_syntax_uid, image.transfer_syntax);
    const std::string stored = read_file(running.gateway.spool->path(added.id));
    EXPECT_TRUE(stored.substr(added.data_set_offset) == image.data_set) << name;
  }
}

TEST(Server, TakesImagesFromDcmsend) {
  const Running running;
  std::vector<std::string> arguments = {"dcmsend", "127.0.0.1", std::to_string(running.port)};
  for (const char* name : {"CT_small.dcm", "rtplan.dcm", "693_J2KI.dcm", "ExplVR_BigEnd.dcm",
                           "rtdose.dcm", "JPEG-lossy.dcm"}) {
    arguments.push_back(fixture(name));
  }
  Process send(arguments);
  EXPECT_EQ(send.wait(), 0) << send.output();
  EXPECT_EQ(running.gateway.queue.added().size(), 6U);
}

TEST(Server, StoresManyFromOneStorescu) {
  const Running running;
  std::vector<std::string> arguments = {"storescu", "-R", "+II", "127.0.0.1",
                                        std::to_string(running.port)};
  for (int i = 0; i < 20; ++i) arguments.push_back(fixture("MR_small.dcm"));
  Process store(arguments);
  EXPECT_EQ(store.wait(), 0) << store.output();
  EXPECT_EQ(running.gateway.queue.added().size(), 20U);
}

TEST(Server, TakesPrivateAndUnknownClassesAndSyntaxes) {
  const Running running;
  RequestParts parts;
  parts.contexts = context_item(3, "1.3.12.2.1107.5.9.1", {"1.2.3.999"});
  const RawPeer peer = running.associate(parts);
  // An unknown syntax is explicit VR little endian.
  const auto element = [](std::size_t group, std::size_t number, const std::string& vr,
                          std::string value) {
    if (value.size() % 2 != 0) value.push_back('\0');
    return little16(group) + little16(number) + vr + little16(value.size()) + value;
  };
  peer.send(
      store_pdus(element(8, 0x16, "UI", "1.3.12.2.1107.5.9.1") + element(8, 0x18, "UI", kInstance),
                 3, 1, "1.3.12.2.1107.5.9.1"));
  EXPECT_EQ(response(peer).number(net::command::kStatus), 0);
  EXPECT_EQ(running.gateway.queue.added().at(0).instance.transfer_syntax_uid, "1.2.3.999");
}

TEST(Server, RespondsWithTheIdsAndUidsOfTheRequest) {
  const Running running;
  const RawPeer peer = running.associate();
  peer.send(store_pdus(data_set(), 3, 4711));
  const auto set = response(peer);
  EXPECT_EQ(set.number(net::command::kStatus), 0);
  EXPECT_EQ(set.number(net::command::kCommandField), 0x8001);
  EXPECT_EQ(set.number(net::command::kMessageIdBeingRespondedTo), 4711);
  EXPECT_EQ(set.text(net::command::kAffectedSopInstanceUid), kInstance);
  EXPECT_EQ(set.text(net::command::kAffectedSopClassUid), kCtStorage);
  EXPECT_FALSE(set.has(net::command::kErrorComment));
  peer.send(release_request());
  EXPECT_EQ(peer.receive_pdu(), release_response());
  EXPECT_TRUE(peer.is_closed());
}

TEST(Server, TakesPdvsHoweverTheyAreCut) {
  const Running running;
  const RawPeer peer = running.associate();
  const std::string request = store_request(kCtStorage, kInstance);
  // Command and data in one PDU, in pieces of every kind, an empty one among them.
  peer.send(
      data_pdu(pdv(3, true, false, request.substr(0, 5)) + pdv(3, true, true, request.substr(5)) +
               pdv(3, false, false, "") + pdv(3, false, false, data_set().substr(0, 1))) +
      data_pdu(pdv(3, false, false, data_set().substr(1))) + data_pdu(pdv(3, false, true, "")));
  EXPECT_EQ(response(peer).number(net::command::kStatus), 0);
  const auto added = running.gateway.queue.added().at(0);
  EXPECT_EQ(read_file(running.gateway.spool->path(added.instance.id))
                .substr(added.instance.data_set_offset),
            data_set());
}

TEST(Server, TakesMessagesThatArriveTogether) {
  const Running running;
  const RawPeer peer = running.associate();
  peer.send(store_pdus(data_set(), 3, 1) + store_pdus(data_set(), 3, 2) +
            data_pdu(pdv(1, true, true, echo_request(3))));
  for (std::size_t id = 1; id <= 3; ++id) {
    EXPECT_EQ(response(peer).number(net::command::kMessageIdBeingRespondedTo), id);
  }
}

TEST(Server, AnswersA900ToAnInstanceUnlikeItsCommand) {
  const Running running;
  const RawPeer peer = running.associate();
  peer.send(store_pdus(small_data_set(kCtStorage, "9.9.9")));
  const auto set = response(peer);
  EXPECT_EQ(set.number(net::command::kStatus), 0xA900);
  EXPECT_EQ(set.text(net::command::kErrorComment), "SOP Instance UID unlike the command's");
  EXPECT_EQ(set.text(net::command::kAffectedSopInstanceUid), kInstance);
  running.expect_nothing();
  // The association goes on.
  peer.send(store_pdus(data_set()));
  EXPECT_EQ(response(peer).number(net::command::kStatus), 0);
}

TEST(Server, AnswersC000ToACorruptDataSet) {
  const Running running;
  const RawPeer peer = running.associate();
  peer.send(store_pdus(data_set().substr(0, 25)));
  const auto set = response(peer);
  EXPECT_EQ(set.number(net::command::kStatus), 0xC000);
  EXPECT_FALSE(set.text(net::command::kErrorComment).empty());
  running.expect_nothing();
}

TEST(Server, AnswersC000ToDeepNesting) {
  const Running running;
  const RawPeer peer = running.associate();
  std::string nested;
  for (int i = 0; i < 10'000; ++i) {
    nested += little16(0x0008) + little16(0x1115) + little32(0xFFFFFFFFU) + little16(0xFFFE) +
              little16(0xE000) + little32(0xFFFFFFFFU);
  }
  std::string pdus = data_pdu(pdv(3, true, true, store_request(kCtStorage, kInstance)));
  for (std::size_t place = 0; place < nested.size(); place += 100'000) {
    pdus += data_pdu(pdv(3, false, false, nested.substr(place, 100'000)));
  }
  peer.send(pdus + data_pdu(pdv(3, false, true, "")));
  EXPECT_EQ(response(peer).number(net::command::kStatus), 0xC000);
  running.expect_nothing();
}

TEST(Server, AnswersA700WhenTheDiskIsFull) {
  const Running running;
  const RawPeer peer = running.associate();
  std::string pdus = data_pdu(pdv(3, true, true, store_request(kCtStorage, kInstance))) +
                     data_pdu(pdv(3, false, false, data_set()));
  pdus += data_pdu(pdv(3, false, false, little16(0x7FE0) + little16(0x10) + little32(16 << 16)));
  for (int i = 0; i < 16; ++i) pdus += data_pdu(pdv(3, false, i == 15, std::string(1 << 16, 'x')));
  {
    const FailingCall full(Call::write, ENOSPC, 2);
    peer.send(pdus);
    const auto set = response(peer);
    EXPECT_TRUE(full.fired());
    EXPECT_EQ(set.number(net::command::kStatus), 0xA700);
    EXPECT_FALSE(set.text(net::command::kErrorComment).empty());
  }
  running.expect_nothing();
  // There is room again: the next one is taken, on the same association.
  peer.send(store_pdus(data_set()));
  EXPECT_EQ(response(peer).number(net::command::kStatus), 0);
}

TEST(Server, AnswersA700WhenTheFileCannotBeSynced) {
  const Running running;
  const RawPeer peer = running.associate();
  const FailingCall broken(Call::fdatasync, EIO);
  peer.send(store_pdus(data_set()));
  EXPECT_EQ(response(peer).number(net::command::kStatus), 0xA700);
  EXPECT_TRUE(broken.fired());
  running.expect_nothing();
}

TEST(Server, AnswersA700ToATooLargeInstanceAndAbortsAnEndlessOne) {
  const Running running({}, "max_instance_size = \"1000 B\"\n");
  const RawPeer peer = running.associate();
  peer.send(store_pdus(data_set() + std::string(1000, 'x')));
  EXPECT_EQ(response(peer).number(net::command::kStatus), 0xA700);
  peer.send(store_pdus(data_set() + std::string(3000, 'x')));
  EXPECT_EQ(peer.receive(10), abort_pdu(2, 6));
  running.expect_nothing();
}

TEST(Server, AnswersWhatItDoesNotServe) {
  const Running running;
  const RawPeer peer = running.associate();
  // C-FIND-RQ with its identifier.
  const std::string find =
      command_set(element(0x0002, kCtStorage) + element(0x0100, little16(0x0020)) +
                  element(0x0110, little16(9)) + element(0x0800, little16(1)));
  peer.send(data_pdu(pdv(3, true, true, find)) + data_pdu(pdv(3, false, true, data_set())));
  auto set = response(peer);
  EXPECT_EQ(set.number(net::command::kStatus), 0x0211);
  EXPECT_EQ(set.number(net::command::kCommandField), 0x8020);
  EXPECT_EQ(set.number(net::command::kMessageIdBeingRespondedTo), 9);
  // C-CANCEL-RQ has no answer; the echo after it has.
  const std::string cancel =
      command_set(element(0x0100, little16(0x0FFF)) + element(0x0120, little16(9)) +
                  element(0x0800, little16(0x0101)));
  peer.send(data_pdu(pdv(3, true, true, cancel)) + data_pdu(pdv(1, true, true, echo_request(10))));
  set = response(peer);
  EXPECT_EQ(set.number(net::command::kCommandField), 0x8030);
  EXPECT_EQ(set.number(net::command::kMessageIdBeingRespondedTo), 10);
  // C-STORE where only Verification was agreed upon.
  peer.send(store_pdus(data_set(), 1));
  EXPECT_EQ(response(peer).number(net::command::kStatus), 0x0122);
  running.expect_nothing();
}

TEST(Server, RefusesACStoreWithoutUidsOrDataSet) {
  const Running running;
  const RawPeer peer = running.associate();
  peer.send(store_pdus(data_set(), 3, 1, kCtStorage, ""));
  EXPECT_EQ(response(peer).number(net::command::kStatus), 0xC000);
  const std::string without = command_set(
      element(0x0002, kCtStorage) + element(0x0100, little16(1)) + element(0x0110, little16(1)) +
      element(0x0800, little16(0x0101)) + element(0x1000, kInstance));
  peer.send(data_pdu(pdv(3, true, true, without)));
  EXPECT_EQ(response(peer).number(net::command::kStatus), 0xC000);
  running.expect_nothing();
}

TEST(Server, RejectsAeTitlesByTheListenersLists) {
  const Running running([](config::Config& config) {
    config.listeners[0].ae_titles = {"SLUICE", "OTHER"};
    config.listeners[0].calling_ae_titles = {"CT*", "MR01"};
  });
  const auto answer = [&](const std::string& called, const std::string& calling) {
    RequestParts parts;
    parts.called = called;
    parts.calling = calling;
    const RawPeer peer = RawPeer::connect(running.port);
    peer.send(parts.bytes());
    std::string got = peer.receive_pdu();
    if (got.substr(0, 1) == "\2") got = "accepted";
    return got;
  };
  EXPECT_EQ(answer("SLUICE", "CT99"), "accepted");
  EXPECT_EQ(answer("OTHER", "MR01"), "accepted");
  EXPECT_EQ(answer("PACS", "CT99"), reject_pdu(1, 1, 7));
  EXPECT_EQ(answer("SLUICE", "MR02"), reject_pdu(1, 1, 3));
  EXPECT_EQ(answer("PACS", "MR02"), reject_pdu(1, 1, 7));
}

TEST(Server, RejectsAboveItsLimits) {
  const Running running(
      [](config::Config& config) { config.gateway.max_associations_per_address = 1; });
  const RawPeer first = running.associate();
  const RawPeer second = RawPeer::connect(running.port);
  second.send(RequestParts().bytes());
  EXPECT_EQ(second.receive(100), reject_pdu(2, 3, 2));
}

TEST(Server, AcceptsOnlyTheConfiguredTransferSyntaxes) {
  const Running running(
      [](config::Config& config) { config.listeners[0].transfer_syntaxes = {kImplicit}; });
  RequestParts parts;
  parts.contexts = context_item(3, kCtStorage, {kExplicit, kImplicit}) +
                   context_item(5, kMrStorage, {kExplicit});
  const RawPeer peer = RawPeer::connect(running.port);
  peer.send(parts.bytes());
  const std::string answer = peer.receive_pdu();
  EXPECT_NE(answer.find(std::string{3, 0, 0, 0} + item(0x40, kImplicit)), std::string::npos);
  EXPECT_NE(answer.find(std::string{5, 0, 4, 0}), std::string::npos);
}

TEST(Server, AbortsAnIdleAssociation) {
  const Running running(
      [](config::Config& config) { config.listeners[0].idle_timeout = milliseconds(100); });
  const RawPeer peer = running.associate();
  EXPECT_EQ(peer.receive(10), abort_pdu(0, 0));
}

TEST(Server, AbortsASenderThatStallsInsideAnInstance) {
  const Running running(
      [](config::Config& config) { config.listeners[0].stall_timeout = milliseconds(200); });
  const RawPeer peer = running.associate();
  peer.send(store_pdus(data_set()).substr(0, 200));
  EXPECT_EQ(peer.receive(10), abort_pdu(0, 0));
  running.expect_nothing();
}

std::string large_store_pdus() {
  return store_in_pieces(3, store_request(kCtStorage, kInstance, 1),
                         large_data_set(kCtStorage, kInstance));
}

TEST(Server, StopEndsIdleAssociationsAtOnceAndLetsARunningInstanceFinish) {
  Running running;
  const RawPeer idle = running.associate();
  const RawPeer busy = running.associate();
  const std::string pdus = large_store_pdus();
  busy.send(pdus.substr(0, 850'000));
  ASSERT_TRUE(wait_until([&] { return running.gateway.files() == 1; }));
  std::thread stopper([&] { running.server->stop(milliseconds(30'000)); });
  EXPECT_EQ(idle.receive(10), abort_pdu(0, 0));
  busy.send(pdus.substr(850'000));
  EXPECT_EQ(response(busy).number(net::command::kStatus), 0);
  EXPECT_EQ(busy.receive(10), abort_pdu(0, 0));
  stopper.join();
  EXPECT_EQ(running.gateway.queue.added().size(), 1U);
  EXPECT_THROW(static_cast<void>(RawPeer::connect(running.port)), std::runtime_error);
}

TEST(Server, StopCutsOffAtItsDeadline) {
  Running running;
  const RawPeer busy = running.associate();
  busy.send(large_store_pdus().substr(0, 850'000));
  ASSERT_TRUE(wait_until([&] { return running.gateway.files() == 1; }));
  running.server->stop(milliseconds(100));
  EXPECT_TRUE(busy.is_closed());
  running.expect_nothing();
}

TEST(Server, ServesFourSendersAtOnce) {
  const Running running;
  std::vector<std::unique_ptr<Process>> senders;
  for (int i = 0; i < 4; ++i) {
    std::vector<std::string> arguments = {"storescu", "-R", "+II", "127.0.0.1",
                                          std::to_string(running.port)};
    for (int k = 0; k < 10; ++k) arguments.push_back(fixture("CT_small.dcm"));
    senders.push_back(std::make_unique<Process>(arguments));
  }
  for (const auto& sender : senders) EXPECT_EQ(sender->wait(), 0) << sender->output();
  EXPECT_EQ(running.gateway.queue.added().size(), 40U);
}

TEST(Server, TellsAPortThatIsTaken) {
  const Running running;
  Gateway second;
  second.config.listeners[0].port = running.port;
  Server server(second.setup(), second.parts());
  const auto started = server.start();
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().code, ErrorCode::configuration);
}

}  // namespace
}  // namespace sluice
