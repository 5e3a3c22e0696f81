// What `sluice queue` says of a delivery that waits for the schedule of its destination.
#include "gateway/command/queue_text.h"

#include <string>

#include <gmock/gmock.h>

namespace sluice::command {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kNightly =
    "[[listener]]\nport = 11112\n"
    "[[destination]]\nname = \"night\"\naddress = \"dicom://NIGHT@127.0.0.1:104\"\n"
    "schedule = [ { from = \"22:00\", to = \"06:00\", zone = \"Europe/Berlin\" }, "
    "{ days = [\"sun\"], zone = \"Europe/Berlin\" } ]\n"
    "[[destination]]\nname = \"late\"\naddress = \"dicom://LATE@127.0.0.1:104\"\n"
    "schedule = [ { from = \"23:00\", to = \"24:00\", zone = \"Europe/Berlin\" } ]\n"
    "[[destination]]\nname = \"always\"\naddress = \"dicom://ALWAYS@127.0.0.1:104\"\n"
    "[[group]]\nname = \"scheduled\"\ndestinations = [\"night\", \"late\"]\n"
    "[[group]]\nname = \"mixed\"\ndestinations = [\"night\", \"always\"]\n"
    "[[route]]\ndestinations = [\"scheduled\", \"mixed\"]\n";

// Wednesday, 2026-01-14.
Time at(std::chrono::hours hour) {
  return std::chrono::sys_days{std::chrono::year(2026) / 1 / 14} + hour;
}
constexpr std::chrono::hours kNoon{12};
constexpr std::chrono::hours kNight{22};

class QueueTextOfASchedule : public ::testing::Test {
 protected:
  [[nodiscard]] std::string wait(const std::string& destination, std::chrono::hours hour,
                                 DeliveryState state = DeliveryState::ready) const {
    return wait_for_schedule(entry(destination, state), config_, at(hour));
  }
  [[nodiscard]] static QueueEntry entry(const std::string& destination, DeliveryState state) {
    QueueEntry made;
    made.delivery.destination = destination;
    made.delivery.state = state;
    made.instance.received_at = at(kNoon);
    return made;
  }

  config::Mistakes mistakes_{"sluice.toml"};
  config::Config config_ = config::parse(kNightly, mistakes_);
};

TEST_F(QueueTextOfASchedule, NamesItsWindowsWhileTheyAreClosed) {
  ASSERT_TRUE(mistakes_.empty()) << mistakes_.text();
  const std::string windows =
      "night: 22:00 to 06:00 Europe/Berlin, sun 00:00 to 24:00 Europe/Berlin";
  EXPECT_EQ(wait("night", kNoon), "waits for the schedule of " + windows);
  EXPECT_EQ(wait("night", kNoon, DeliveryState::deferred), wait("night", kNoon));
  EXPECT_EQ(wait("night", kNight), "");
  EXPECT_EQ(wait("always", kNoon), "");
  EXPECT_EQ(wait("not any more", kNoon), "");
}

TEST_F(QueueTextOfASchedule, SaysNothingOfWhatDoesNotWait) {
  for (const auto state : {DeliveryState::sending, DeliveryState::delivered, DeliveryState::held,
                           DeliveryState::discarded}) {
    EXPECT_EQ(wait("night", kNoon, state), "");
  }
}

TEST_F(QueueTextOfASchedule, OfAGroupOneOpenMemberIsEnough) {
  EXPECT_THAT(wait("scheduled", kNoon), HasSubstr("; late: 23:00 to 24:00 Europe/Berlin"));
  EXPECT_EQ(wait("scheduled", kNight), "");
  EXPECT_EQ(wait("mixed", kNoon), "");
}

TEST_F(QueueTextOfASchedule, StandsInTheLineUnlessThereIsAReason) {
  QueueEntry one = entry("late", DeliveryState::ready);
  EXPECT_THAT(to_line(one, config_, at(kNoon)), EndsWith(wait("late", kNoon)));
  EXPECT_EQ(to_json(one, config_, at(kNoon)).at("advice"), wait("late", kNoon));
  EXPECT_EQ(to_json(one, config_, at(kNoon)).at("reason"), "");
  one.delivery.state = DeliveryState::deferred;
  one.delivery.reason = "cannot connect";
  EXPECT_THAT(to_line(one, config_, at(kNoon)), EndsWith("cannot connect"));
  EXPECT_THAT(advice(one, config_, at(kNight)), Not(HasSubstr("schedule")));
  EXPECT_EQ(advice(one, config_, at(kNoon)), wait("late", kNoon));
}

}  // namespace
}  // namespace sluice::command
