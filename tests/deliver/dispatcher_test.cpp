#include "gateway/deliver/dispatcher.h"

#include <atomic>

#include <gtest/gtest.h>

#include "gateway/base/counter.h"
#include "tests/deliver/dispatching.h"

namespace sluice::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

TEST(Dispatcher, DeliversWhatWaitsAndWhatComes) {
  OnePacs one;
  const auto ids = one.parts.receive_many(50, {"pacs"});
  const auto dispatcher = dispatch(one.parts);
  const auto later = one.parts.receive_many(50, {"pacs"});
  for (const auto* waiting : {&ids, &later}) {
    for (const std::string& id : *waiting) {
      EXPECT_TRUE(one.parts.wait_for(id, "pacs", DeliveryState::delivered));
    }
  }
  EXPECT_EQ(one.pacs.stored().size(), 100U);
  EXPECT_LE(one.pacs.associations(), 2);
  const DeliveryRow row = one.parts.delivery(ids[0], "pacs");
  EXPECT_EQ(row.status, "0000");
  EXPECT_EQ(row.attempts, 1);
  EXPECT_EQ(row.reason, "");
  EXPECT_TRUE(wait_until([&] { return one.parts.spool().list()->empty(); }));
  EXPECT_TRUE(dispatcher->stop(milliseconds(10'000)));
  EXPECT_TRUE(one.parts.left_over().empty());
}

struct Ending {
  std::size_t status;
  DeliveryState state;
  int failures;
};

// What each status leads to, with two failures allowed. The deferred ones go on for ever.
TEST(Dispatcher, DoesWhatEachStatusAsksFor) {
  const std::vector<Ending> table = {
      {0x0000, DeliveryState::delivered, 0}, {0xB000, DeliveryState::delivered, 0},
      {0xB006, DeliveryState::delivered, 0}, {0xB007, DeliveryState::delivered, 0},
      {0xA700, DeliveryState::deferred, 0},  {0xA7FF, DeliveryState::deferred, 0},
      {0x0110, DeliveryState::deferred, 0},  {0x0210, DeliveryState::deferred, 0},
      {0x0211, DeliveryState::deferred, 0},  {0x0212, DeliveryState::deferred, 0},
      {0xA900, DeliveryState::held, 2},      {0xC000, DeliveryState::held, 2},
      {0xCFFF, DeliveryState::held, 2},      {0x0117, DeliveryState::held, 2},
      {0x0122, DeliveryState::held, 2},      {0x0112, DeliveryState::held, 2},
      {0x0124, DeliveryState::held, 0},      {0x0001, DeliveryState::held, 2},
      {0xB001, DeliveryState::held, 2},      {0xFE00, DeliveryState::held, 2}};
  for (const Ending& ending : table) {
    OnePacs one(always(ending.status), "max_failures = 2\n");
    const std::string id = one.receive("1.2.3");
    const auto dispatcher = dispatch(one.parts);
    if (ending.state == DeliveryState::deferred) {
      EXPECT_TRUE(wait_until([&] { return one.parts.delivery(id, "pacs").attempts >= 4; }))
          << std::hex << ending.status;
      EXPECT_TRUE(dispatcher->stop(milliseconds(10'000)));
    }
    EXPECT_TRUE(one.parts.wait_for(id, "pacs", ending.state)) << std::hex << ending.status;
    const DeliveryRow row = one.parts.delivery(id, "pacs");
    EXPECT_EQ(row.failures, ending.failures) << std::hex << ending.status;
    EXPECT_EQ(std::stoul(row.status, nullptr, 16), ending.status);
    EXPECT_EQ(row.reason.empty(), ending.status == 0);
    EXPECT_EQ(row.reason.starts_with("warning"),
              (ending.status & 0xF000U) == 0xB000U && ending.state == DeliveryState::delivered);
    // Each attempt begins afresh where the peer did not take the message for what it is.
    if (ending.status >= 0x0210 && ending.status <= 0x0212) {
      EXPECT_TRUE(wait_until([&] { return one.pacs.aborts() >= row.attempts; }));
      EXPECT_EQ(one.pacs.associations(), row.attempts);
    }
    EXPECT_EQ(one.parts.spool().list()->empty(), ending.state == DeliveryState::delivered);
  }
}

TEST(Dispatcher, KeepsTheWarningOfADelivery) {
  OnePacs one([](const StoredByPacs&, int) {
    Reaction reaction;
    reaction.status = 0xB000;
    reaction.comment = "name changed";
    return reaction;
  });
  const std::string id = one.receive("1.2.3");
  const auto dispatcher = dispatch(one.parts);
  EXPECT_TRUE(one.parts.wait_for(id, "pacs", DeliveryState::delivered));
  EXPECT_EQ(one.parts.delivery(id, "pacs").status, "B000");
  EXPECT_NE(one.parts.delivery(id, "pacs").reason.find("name changed"), std::string::npos);
}

TEST(Dispatcher, NeverCountsAnAnswerToAnotherMessage) {
  OnePacs one([](const StoredByPacs&, int) {
    Reaction reaction;
    reaction.message_id_added = 1;
    return reaction;
  });
  const std::string id = one.receive("1.2.3");
  const auto dispatcher = dispatch(one.parts);
  EXPECT_TRUE(wait_until([&] { return one.parts.delivery(id, "pacs").attempts >= 3; }));
  EXPECT_TRUE(dispatcher->stop(milliseconds(10'000)));
  EXPECT_EQ(one.parts.delivery(id, "pacs").state, DeliveryState::deferred);
}

TEST(Dispatcher, HoldsOnAPermanentRejectionAndRetriesOnATransientOne) {
  OnePacs one;
  one.pacs.greet(Greeting::reject_transient);
  const std::string first = one.receive("1.2.1");
  const auto dispatcher = dispatch(one.parts);
  EXPECT_TRUE(wait_until([&] { return one.parts.delivery(first, "pacs").attempts >= 3; }));
  EXPECT_EQ(one.parts.delivery(first, "pacs").failures, 0);
  one.pacs.greet(Greeting::accept);
  EXPECT_TRUE(one.parts.wait_for(first, "pacs", DeliveryState::delivered));
  EXPECT_TRUE(dispatcher->stop(milliseconds(10'000)));
  one.pacs.greet(Greeting::reject_permanent);
  const std::string second = one.receive("1.2.2");
  const auto again = dispatch(one.parts);
  EXPECT_TRUE(one.parts.wait_for(second, "pacs", DeliveryState::held));
  EXPECT_NE(one.parts.delivery(second, "pacs").reason.find("permanent"), std::string::npos);
}

// One mistake, however many wait: told once until something was delivered again.
TEST(Dispatcher, RaisesOneAlarmWhereItIsNotTaken) {
  const Labels label{{"destination", "pacs"}};
  const std::string alarm = "sluice_configuration_alarms_total";
  std::atomic<std::size_t> status = 0x0124;
  OnePacs one(
      [&](const StoredByPacs&, int) {
        Reaction reaction;
        reaction.status = status;
        return reaction;
      },
      "associations = 1\n");
  const auto before = counted(alarm, label);
  const auto held = [&](const std::string& uid) {
    const std::string id = one.receive(uid);
    EXPECT_TRUE(one.parts.wait_for(id, "pacs", DeliveryState::held));
  };
  const auto dispatcher = dispatch(one.parts);
  for (const char* uid : {"1.2.1", "1.2.2", "1.2.3"}) held(uid);
  EXPECT_EQ(counted(alarm, label), before + 1);
  status = 0;
  EXPECT_TRUE(one.parts.wait_for(one.receive("1.2.4"), "pacs", DeliveryState::delivered));
  status = 0x0124;
  for (const char* uid : {"1.2.5", "1.2.6"}) held(uid);
  EXPECT_EQ(counted(alarm, label), before + 2);
  EXPECT_TRUE(dispatcher->stop(milliseconds(10'000)));
  one.pacs.greet(Greeting::reject_permanent);
  const auto again = dispatch(one.parts);
  for (const char* uid : {"1.2.7", "1.2.8"}) held(uid);
  EXPECT_EQ(counted(alarm, label), before + 3);
}

TEST(Dispatcher, RaisesNoConfigurationAlarmForAnInstanceThatIsRefused) {
  const auto before = counted("sluice_configuration_alarms_total", {{"destination", "pacs"}});
  OnePacs one(always(0xC000), "max_failures = 1\n");
  const std::string id = one.receive("1.2.1");
  const auto dispatcher = dispatch(one.parts);
  EXPECT_TRUE(one.parts.wait_for(id, "pacs", DeliveryState::held));
  EXPECT_EQ(counted("sluice_configuration_alarms_total", {{"destination", "pacs"}}), before);
}

TEST(Dispatcher, DeliversEverythingOnceThePacsIsBack) {
  const std::uint16_t port = free_port();  // nobody is there
  GatewayParts parts(dicom_destination("pacs", port) + route("\"pacs\""));
  const auto ids = parts.receive_many(40, {"pacs"});
  const auto dispatcher = dispatch(parts);
  EXPECT_TRUE(wait_until([&] { return parts.delivery(ids[0], "pacs").attempts >= 2; }));
  TemporaryFolder received;
  const Process storescp({"storescp", "+xa", "-od", received.path(), std::to_string(port)});
  ASSERT_TRUE(wait_for_port(port));
  for (const std::string& id : ids) {
    EXPECT_TRUE(parts.wait_for(id, "pacs", DeliveryState::delivered));
    EXPECT_EQ(parts.delivery(id, "pacs").failures, 0);
  }
  const std::filesystem::directory_iterator files(received.path());
  EXPECT_EQ(std::distance(begin(files), end(files)), 40);
}

TEST(Dispatcher, AHungDestinationDelaysNoOther) {
  ScriptedPacs hung;
  hung.greet(Greeting::silence);
  ScriptedPacs good;
  GatewayParts parts(dicom_destination("hung", hung.port(), "response_timeout = \"3s\"\n") +
                     dicom_destination("good", good.port()) + route("\"hung\", \"good\""));
  const auto ids = parts.receive_many(60, {"hung", "good"});
  const auto dispatcher = dispatch(parts);
  for (const std::string& id : ids) {
    EXPECT_TRUE(parts.wait_for(id, "good", DeliveryState::delivered));
  }
  EXPECT_EQ(parts.count_of("hung", DeliveryState::delivered), 0U);
  EXPECT_EQ(parts.spool().list()->size(), 60U);  // until the last has it
  hung.greet(Greeting::accept);
  EXPECT_TRUE(dispatcher->stop(milliseconds(30'000)));
}

// The destination answers A700 to one instance only, the oldest. The others go on.
TEST(Dispatcher, AnInstanceThatAlwaysFailsDoesNotKeepTheOthersWaiting) {
  OnePacs one([](const StoredByPacs& stored, int) {
    Reaction reaction;
    if (stored.sop_instance_uid == "1.2.666") reaction.status = 0xA700;
    return reaction;
  });
  const std::string bad = one.receive("1.2.666");
  const auto ids = one.parts.receive_many(100, {"pacs"});
  const auto dispatcher = dispatch(one.parts);
  for (const std::string& id : ids) {
    EXPECT_TRUE(one.parts.wait_for(id, "pacs", DeliveryState::delivered));
  }
  EXPECT_TRUE(dispatcher->stop(milliseconds(10'000)));
  EXPECT_EQ(one.parts.delivery(bad, "pacs").state, DeliveryState::deferred);
  EXPECT_LT(one.parts.delivery(bad, "pacs").attempts, 50);
}

// It may be what it proposes for the first that it does not like.
TEST(Dispatcher, TriesOthersTooWhileItIsRejected) {
  OnePacs one;
  one.pacs.greet(Greeting::reject_transient);
  const auto ids = one.parts.receive_many(3, {"pacs"});
  const auto dispatcher = dispatch(one.parts);
  for (const std::string& id : ids) {
    EXPECT_TRUE(wait_until([&] { return one.parts.delivery(id, "pacs").attempts > 1; }));
  }
}

TEST(Dispatcher, HoldsACorruptFileAndSendsTheRest) {
  OnePacs one;
  const std::string bad = one.receive("1.2.1");
  const std::string gone = one.receive("1.2.2");
  const std::string good = one.receive("1.2.3");
  flip_byte(one.parts.spool_path(bad));
  std::filesystem::remove(one.parts.spool_path(gone));
  const auto dispatcher = dispatch(one.parts);
  EXPECT_TRUE(one.parts.wait_for(good, "pacs", DeliveryState::delivered));
  EXPECT_TRUE(one.parts.wait_for(bad, "pacs", DeliveryState::held));
  EXPECT_TRUE(one.parts.wait_for(gone, "pacs", DeliveryState::held));
  EXPECT_NE(one.parts.delivery(bad, "pacs").reason.find("digest"), std::string::npos);
  EXPECT_EQ(one.pacs.count_of("1.2.1"), 0U);
  EXPECT_TRUE(std::filesystem::exists(one.parts.spool_path(bad)));  // never deleted
  for (const std::string& id : {bad, gone}) {
    EXPECT_TRUE(one.parts.queue().list({.instance_id = id})->front().instance.is_damaged);
  }
}

TEST(Dispatcher, SendsOtherBytesUnderTheUidTheyWereGiven) {
  OnePacs one;
  const std::string first = one.receive("1.2.3");
  InstanceRow row = one.parts.row(one.receive("1.2.4"));
  // A second file for the queue to name.
  const std::string original = row.id;
  row.id += "b";
  std::filesystem::copy(one.parts.spool_path(original), one.parts.spool_path(row.id));
  row.sop_instance_uid = "1.2.3";
  SameUidRules rules;
  rules.other_bytes = OtherBytes::new_uid;
  rules.new_uid = "2.25.99";
  DeliveryRow delivery;
  delivery.route = "all";
  delivery.destination = "pacs";
  delivery.released = "despite the UID of its command";
  ASSERT_EQ(one.parts.queue().add_unless_known(row, {delivery}, rules)->other_bytes_of, first);
  const auto dispatcher = dispatch(one.parts);
  EXPECT_TRUE(one.parts.wait_for(row.id, "pacs", DeliveryState::delivered));
  EXPECT_EQ(one.pacs.count_of("2.25.99"), 1U);
  EXPECT_TRUE(one.parts.wait_for(first, "pacs", DeliveryState::delivered));
  EXPECT_EQ(one.pacs.count_of("1.2.3"), 1U);
}

TEST(Dispatcher, CountsFailuresOverARestart) {
  OnePacs one(always(0xC000), "max_failures = 3\n");
  const std::string id = one.receive("1.2.3");
  auto dispatcher = dispatch(one.parts);
  EXPECT_TRUE(wait_until([&] { return one.parts.delivery(id, "pacs").failures >= 1; }));
  EXPECT_TRUE(dispatcher->stop(milliseconds(10'000)));
  dispatcher.reset();
  const DeliveryRow before = one.parts.delivery(id, "pacs");
  one.parts.reopen();
  dispatcher = dispatch(one.parts);
  EXPECT_TRUE(one.parts.wait_for(id, "pacs", DeliveryState::held));
  const DeliveryRow after = one.parts.delivery(id, "pacs");
  EXPECT_EQ(after.failures, 3);
  EXPECT_EQ(after.attempts, 3);
  EXPECT_GE(before.failures, 1);
  EXPECT_EQ(one.pacs.count_of("1.2.3"), 3U);
  EXPECT_TRUE(dispatcher->stop(milliseconds(10'000)));
}

// Else a gateway that is restarted often would never leave alone a PACS that is away.
TEST(Dispatcher, GoesOnWithTheGrowingPausesOfADestinationOverARestart) {
  constexpr milliseconds kLeast{20};
  GatewayParts parts("\n[[destination]]\nname = \"away\"\naddress = \"dicom://PACS@127.0.0.1:" +
                     std::to_string(free_port()) +
                     "\"\nassociations = 1\nretry_min = \"20ms\"\nretry_max = \"1h\"\n" +
                     route("\"away\""));
  const std::string id = parts.receive(small_instance("1.2.3"), {"away"});
  const auto attempts = [&] { return parts.delivery(id, "away").attempts; };
  auto dispatcher = dispatch(parts);
  EXPECT_TRUE(wait_until([&] { return attempts() >= 4; }));
  EXPECT_TRUE(dispatcher->stop(milliseconds(10'000)));
  dispatcher.reset();
  const int before = attempts();
  parts.reopen();
  dispatcher = dispatch(parts);
  EXPECT_TRUE(wait_until([&] { return attempts() > before; }));
  const DeliveryRow row = parts.delivery(id, "away");
  EXPECT_TRUE(dispatcher->stop(milliseconds(10'000)));
  // Its failures before were so many that the least of this pause is more than this.
  EXPECT_GE(row.next_attempt - row.updated_at, kLeast * (1 << (before - 1)));
}

TEST(Dispatcher, LetsARunningInstanceFinishAndReleasesTheRest) {
  std::atomic<bool> begun = false;
  std::atomic<bool> go_on = false;
  OnePacs one(
      [&](const StoredByPacs&, int) {
        begun = true;
        static_cast<void>(wait_until([&] { return go_on.load(); }));
        return Reaction{};
      },
      "associations = 1\n");
  const auto ids = one.parts.receive_many(10, {"pacs"});
  const auto dispatcher = dispatch(one.parts);
  EXPECT_TRUE(wait_until([&] { return begun.load(); }));
  // stop() tells the workers first and then wakes those who wait for work.
  std::atomic<bool> waits = false;
  std::thread later([&] {
    Queue& queue = one.parts.queue();
    EXPECT_TRUE(queue.claim("nobody", 1));
    static_cast<void>(queue.wait_for_work("nobody", steady_clock::now()));
    waits = true;
    static_cast<void>(
        queue.wait_for_work("nobody", steady_clock::now() + std::chrono::seconds(60)));
    go_on = true;
  });
  EXPECT_TRUE(wait_until([&] { return waits.load(); }));
  EXPECT_TRUE(dispatcher->stop(milliseconds(20'000)));
  later.join();
  EXPECT_EQ(one.parts.count_of("pacs", DeliveryState::sending), 0U);
  EXPECT_EQ(one.parts.count_of("pacs", DeliveryState::delivered), 1U);
  EXPECT_EQ(one.parts.count_of("pacs", DeliveryState::ready), 9U);
  EXPECT_EQ(one.parts.delivery(ids[0], "pacs").state, DeliveryState::delivered);
}

TEST(Dispatcher, StopsInTimeWhileADestinationIsSilent) {
  std::atomic<bool> reached = false;
  OnePacs one([&](const StoredByPacs&, int) {
    reached = true;
    Reaction reaction;
    reaction.silent = true;
    return reaction;
  });
  const std::string id = one.receive("1.2.3");
  const auto dispatcher = dispatch(one.parts);
  EXPECT_TRUE(wait_until([&] { return reached.load(); }));
  const auto begun = steady_clock::now();
  EXPECT_TRUE(dispatcher->stop(milliseconds(100)));
  EXPECT_LT(steady_clock::now() - begun, milliseconds(20'000));  // response_timeout is 60 s
  EXPECT_EQ(one.parts.delivery(id, "pacs").state, DeliveryState::deferred);
}

TEST(Dispatcher, SaysWhenAWorkerDoesNotEnd) {
  OnePacs one({}, "response_timeout = \"8s\"\n");
  one.pacs.greet(Greeting::silence);
  const std::string id = one.receive("1.2.3");
  const auto dispatcher = dispatch(one.parts);
  EXPECT_TRUE(wait_until([&] { return one.pacs.associations() > 0; }));
  const auto begun = steady_clock::now();
  EXPECT_FALSE(dispatcher->stop(milliseconds(100)));
  EXPECT_LT(steady_clock::now() - begun, milliseconds(8'000));
  EXPECT_TRUE(dispatcher->stop(milliseconds(20'000)));
  EXPECT_EQ(one.parts.count_of("pacs", DeliveryState::sending), 0U);
}

TEST(Dispatcher, StopsAtOnceWhenIdleAndWhileBackingOff) {
  GatewayParts parts("\n[[destination]]\nname = \"away\"\naddress = \"dicom://PACS@127.0.0.1:" +
                     std::to_string(free_port()) + "\"\nretry_min = \"1h\"\nretry_max = \"2h\"\n" +
                     dicom_destination("idle", free_port()) + route("\"away\", \"idle\""));
  const std::string id = parts.receive(small_instance("1.2.3"), {"away"});
  const std::string other = parts.receive(small_instance("1.2.4"), {"away"});
  const auto dispatcher = dispatch(parts);
  EXPECT_TRUE(parts.wait_for(id, "away", DeliveryState::deferred));
  const auto begun = steady_clock::now();
  EXPECT_TRUE(dispatcher->stop(milliseconds(60'000)));
  EXPECT_LT(steady_clock::now() - begun, milliseconds(20'000));
  EXPECT_EQ(parts.count_of("away", DeliveryState::sending), 0U);
}

TEST(Dispatcher, LeavesWhatWaitsForARemovedDestination) {
  OnePacs one;
  const std::string id = one.parts.receive(small_instance("1.2.3"), {"removed"});
  const std::string other = one.receive("1.2.4");
  testing::internal::CaptureStderr();
  const auto dispatcher = dispatch(one.parts);
  EXPECT_TRUE(one.parts.wait_for(other, "pacs", DeliveryState::delivered));
  EXPECT_TRUE(dispatcher->stop(milliseconds(10'000)));
  const std::string log = testing::internal::GetCapturedStderr();
  EXPECT_NE(log.find("destination=removed"), std::string::npos) << log;
  EXPECT_EQ(one.parts.delivery(id, "removed").state, DeliveryState::ready);
}

TEST(Dispatcher, WritesToAFolderAndAPacsAlike) {
  ScriptedPacs pacs;
  TemporaryFolder folder;
  GatewayParts parts(dicom_destination("pacs", pacs.port()) +
                     folder_destination("archive", folder.path("archive")) +
                     route("\"pacs\", \"archive\""));
  const auto dispatcher = dispatch(parts);
  const auto ids = parts.receive_many(30, {"pacs", "archive"});
  for (const std::string& id : ids) {
    EXPECT_TRUE(parts.wait_for(id, "pacs", DeliveryState::delivered));
    EXPECT_TRUE(parts.wait_for(id, "archive", DeliveryState::delivered));
  }
  EXPECT_EQ(pacs.stored().size(), 30U);
  EXPECT_TRUE(wait_until([&] { return parts.spool().list()->empty(); }));
}

// A worker without work must not ask the queue again and again.
TEST(Dispatcher, RestsWhenThereIsNothingToDo) {
  OnePacs one;
  const std::string id = one.receive("1.2.3");
  const auto dispatcher = dispatch(one.parts);
  EXPECT_TRUE(one.parts.wait_for(id, "pacs", DeliveryState::delivered));
  timespec before{};
  timespec after{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
  std::this_thread::sleep_for(milliseconds(1500));  // the span that is measured
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
  const double seconds = static_cast<double>(after.tv_sec - before.tv_sec) +
                         static_cast<double>(after.tv_nsec - before.tv_nsec) / 1e9;
  EXPECT_LT(seconds, 0.75);
}

}  // namespace
}  // namespace sluice::test
