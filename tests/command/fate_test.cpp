// How two configurations differ in what becomes of an instance.
#include "gateway/command/fate.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>

namespace sluice::command {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

RouteDecision decision_of(const std::string& route, Verdict verdict,
                          std::vector<std::string> destinations = {},
                          std::vector<Change> changes = {}) {
  RouteDecision made;
  made.route = route;
  made.verdict = std::move(verdict);
  if (!std::holds_alternative<Pass>(made.verdict)) made.filter = "f";
  made.destinations = std::move(destinations);
  made.changes = std::move(changes);
  return made;
}

Fate fate_by(std::vector<RouteDecision> routes) {
  Decision decision;
  decision.routes = std::move(routes);
  return fate_of(decision, "quarantine");
}

QueueEntry entry_of(const std::string& route, const std::string& destination, DeliveryState state,
                    const std::string& reason = "") {
  QueueEntry entry;
  entry.delivery.route = route;
  entry.delivery.destination = destination;
  entry.delivery.state = state;
  entry.delivery.reason = reason;
  return entry;
}

Fate fate_by_rows(const std::vector<QueueEntry>& rows) {
  return fate_of(std::span<const QueueEntry>(rows));
}

// "KIND ROUTE[ ATTRIBUTE]: BEFORE / AFTER"
std::vector<std::string> told(const Fate& before, const Fate& after,
                              Attributes attributes = Attributes::compared) {
  std::vector<std::string> lines;
  for (const FateDifference& one : differences(before, after, attributes)) {
    lines.push_back(one.kind + " " + one.route + (one.attribute.empty() ? "" : " ") +
                    one.attribute + ": " + one.before + " / " + one.after);
  }
  return lines;
}

TEST(Fate, TellsWhichRoutesTakeItNowAndWhichNoLonger) {
  EXPECT_THAT(told(fate_by({decision_of("a", Pass{}, {"pacs"}), decision_of("b", Pass{}, {"er"})}),
                   fate_by({decision_of("a", Pass{}, {"pacs"}), decision_of("c", Pass{}, {"er"})})),
              ElementsAre("taken c:  / pass to er", "not taken b: pass to er / "));
  EXPECT_THAT(told(fate_by({}), fate_by({decision_of("a", Drop{"x"})})),
              ElementsAre("taken a:  / drop (f: x)"));
  EXPECT_THAT(
      told(fate_by({decision_of("a", Pass{}, {"pacs"})}), fate_by({})),
      ElementsAre("unrouted :  / quarantine (no route matches)", "not taken a: pass to pacs / "));
}

TEST(Fate, ComparesVerdictsReasonsAndDestinations) {
  const Fate passes = fate_by({decision_of("a", Pass{}, {"pacs", "er"})});
  EXPECT_THAT(told(passes, fate_by({decision_of("a", Quarantine{"x"})})),
              ElementsAre("verdict a: pass to er, pacs / quarantine (f: x)"));
  EXPECT_THAT(told(passes, fate_by({decision_of("a", Pass{}, {"er"})})),
              ElementsAre("destinations a: er, pacs / er"));
  EXPECT_THAT(told(passes, fate_by({decision_of("a", Pass{}, {"er", "pacs"})})), IsEmpty());
  EXPECT_THAT(told(fate_by({decision_of("a", Quarantine{"x"})}),
                   fate_by({decision_of("a", Quarantine{"y"})})),
              ElementsAre("verdict a: quarantine (f: x) / quarantine (f: y)"));
}

TEST(Fate, OfARejectedInstanceIsRejectedByEachRoute) {
  EXPECT_THAT(told(fate_by({decision_of("a", Pass{}, {"pacs"})}),
                   fate_by({decision_of("a", Pass{}, {"pacs"}),
                            decision_of("b", Reject{0xC000, "not you"})})),
              ElementsAre("verdict a: pass to pacs / reject (0xC000 f: not you)",
                          "taken b:  / reject (0xC000 f: not you)"));
}

TEST(Fate, PassesOverRoutesThatLeadToNowhereNew) {
  EXPECT_THAT(told(fate_by({decision_of("a", Pass{}, {"pacs"})}),
                   fate_by({decision_of("a", Pass{}, {"pacs"}), decision_of("b", Pass{})})),
              IsEmpty());
}

TEST(Fate, ComparesWhatIsSentAndNotHowItCameAbout) {
  const Change by_one{"one", "StationName", "set", "X", "Y"};
  const Change by_two{"two", "StationName", "set", "Y", "Z"};
  const Fate as_received = fate_by({decision_of("a", Pass{}, {"pacs"})});
  const Fate twice = fate_by({decision_of("a", Pass{}, {"pacs"}, {by_one, by_two})});
  const Fate at_once =
      fate_by({decision_of("a", Pass{}, {"pacs"}, {{"three", "StationName", "set", "X", "Z"}})});
  EXPECT_THAT(told(as_received, twice), ElementsAre("attribute a StationName: X / Z"));
  EXPECT_THAT(told(twice, as_received), ElementsAre("attribute a StationName: Z / X"));
  EXPECT_THAT(told(twice, at_once), IsEmpty());
  EXPECT_EQ(differences(as_received, twice, Attributes::compared).at(0).filter, "two");
  EXPECT_THAT(told(as_received, twice, Attributes::unknown_before), IsEmpty());
}

TEST(Fate, TellsOfBytesThatDifferInNoText) {
  Decision with_other_bytes;
  with_other_bytes.routes = {decision_of("a", Pass{}, {"pacs"})};
  with_other_bytes.routes[0].pieces = {{0, 10, ""}};
  const Fate before = fate_of(with_other_bytes, "drop");
  with_other_bytes.routes[0].pieces = {{0, 8, ""}};
  EXPECT_THAT(told(before, fate_of(with_other_bytes, "drop")), ElementsAre("bytes a:  / "));
  EXPECT_THAT(told(before, before), IsEmpty());
}

TEST(Fate, OfTheQueuesRowsIsWhatWasDecided) {
  const Fate decided = fate_by({decision_of("a", Pass{}, {"pacs", "er"}),
                                decision_of("b", Quarantine{"x"}), decision_of("c", Drop{"y"})});
  EXPECT_THAT(told(fate_by_rows({entry_of("a", "pacs", DeliveryState::deferred, "PACS is away"),
                                 entry_of("a", "er", DeliveryState::delivered),
                                 entry_of("b", "", DeliveryState::quarantined, "f: x"),
                                 entry_of("c", "", DeliveryState::dropped, "f: y")}),
                   decided, Attributes::unknown_before),
              IsEmpty());
  EXPECT_THAT(told(fate_by_rows({entry_of("", "", DeliveryState::quarantined, "no route matches")}),
                   fate_by({}), Attributes::unknown_before),
              IsEmpty());
}

TEST(Fate, LeavesAloneWhatAPersonHasDecided) {
  QueueEntry released = entry_of("a", "pacs", DeliveryState::ready);
  released.delivery.released = "released by x";
  QueueEntry other_bytes = entry_of("b", "", DeliveryState::quarantined, "other bytes than 1");
  other_bytes.instance.other_bytes_of = "1";
  EXPECT_THAT(told(fate_by_rows({released, other_bytes,
                                 entry_of("c", "", DeliveryState::discarded, "by x")}),
                   fate_by({decision_of("a", Quarantine{"x"}), decision_of("b", Pass{}, {"pacs"})}),
                   Attributes::unknown_before),
              ElementsAre("not taken c: quarantine (by x) / "));
}

}  // namespace
}  // namespace sluice::command
