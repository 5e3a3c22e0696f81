// A disk that has failed stays out of use until a person says otherwise.
#include <cstdlib>
#include <fstream>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include "tests/crash/generated.h"
#include "tests/deliver/scripted_pacs.h"
#include "tests/e2e/gateway_process.h"

namespace sluice::test {
namespace {

using ::testing::HasSubstr;

// For the programs that are started while it lives.
class Environment {
 public:
  explicit Environment(const std::string& fault) {
    ::setenv("SLUICE_TEST_FAULT", fault.c_str(), 1);
  }
  ~Environment() { ::unsetenv("SLUICE_TEST_FAULT"); }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;
};

class Fault : public testing::Test {
 protected:
  std::size_t send(std::uint64_t number) {
    Sender sender(gateway_.port());
    const auto status = sender.store(generated_instance(number));
    sender.release();
    return status.value_or(0xFFFF);
  }
  // It is written down a moment behind its log line.
  bool wait_for_fault(const std::string& text) {
    return wait_until([&] {
      return gateway_.run({"fault", "show"}).out.find(text) != std::string::npos;
    });
  }

  TemporaryFolder folder_;
  ScriptedPacs pacs_;
  GatewayProcess gateway_{folder_.path("gateway"),
                          "[[destination]]\nname = \"pacs\"\naddress = \"dicom://PACS@127.0.0.1:" +
                              std::to_string(pacs_.port()) +
                              "\"\n[[route]]\ndestinations = [\"pacs\"]\n"
                              "acknowledge = \"stored\"\n"};
};

constexpr std::size_t kOutOfResources = 0xA700;

TEST_F(Fault, LastsOverRestartsUntilItIsCleared) {
  {
    const Environment failing("call=fdatasync path=.part nth=2 do=EIO");
    gateway_.start();
    EXPECT_EQ(send(1), 0U);
    EXPECT_EQ(send(2), kOutOfResources);
    EXPECT_EQ(send(3), kOutOfResources) << "the disk answers again, and is not believed";
    EXPECT_TRUE(gateway_.wait_for_line("delivered")) << "what was acknowledged goes on";
    ASSERT_TRUE(
        gateway_.wait_for_line("storage faulted: nothing is accepted until a person "
                               "clears it"));
    EXPECT_EQ(gateway_.stop(), 0);
  }
  EXPECT_THAT(gateway_.run({"queue", "list"}).err, HasSubstr("STORAGE FAULTED"));
  EXPECT_EQ(gateway_.run({"fault", "show"}).exit_code, 0);
  EXPECT_THAT(gateway_.run({"fault", "show", "--json"}).json().at("fault"), HasSubstr("fdatasync"));
  gateway_.start();
  EXPECT_EQ(send(4), kOutOfResources);
  EXPECT_EQ(gateway_.stop(), 0);

  EXPECT_EQ(gateway_.run({"fault", "clear"}).exit_code, 2) << "without a reason";
  EXPECT_EQ(gateway_.run({"fault", "clear", "--reason", "new disk"}).exit_code, 0);
  EXPECT_EQ(gateway_.run({"fault", "clear", "--reason", "again"}).exit_code, 3);
  EXPECT_EQ(gateway_.run({"fault", "show"}).exit_code, 3);
  EXPECT_THAT(read_file(gateway_.data_dir() + "/fault.cleared"), HasSubstr("new disk"));
  gateway_.start();
  EXPECT_EQ(send(5), 0U);
  EXPECT_TRUE(gateway_.wait_for_empty_spool());
  EXPECT_EQ(gateway_.stop(), 0);
  EXPECT_EQ(pacs_.stored().size(), 2U);
}

// Where nobody reads, damage would stand until it is too late.
TEST_F(Fault, OfADatabaseIsFoundAtTheStart) {
  gateway_.start();
  EXPECT_EQ(send(1), 0U);
  EXPECT_TRUE(gateway_.wait_for_empty_spool());
  EXPECT_EQ(gateway_.stop(), 0);
  {
    std::fstream ledger(gateway_.data_dir() + "/ledger.db",
                        std::ios::in | std::ios::out | std::ios::binary);
    constexpr std::streamoff kSecondPage = 4096;
    ledger.seekp(kSecondPage);
    ledger << std::string(4096, 'x');
    ASSERT_TRUE(ledger.flush());
  }
  gateway_.start();
  ASSERT_TRUE(
      gateway_.wait_for_line("storage faulted: nothing is accepted until a person clears "
                             "it"));
  EXPECT_EQ(send(2), kOutOfResources);
  EXPECT_TRUE(wait_for_fault("ledger.db"));
  EXPECT_EQ(gateway_.stop(), 0);
}

// A row that vanishes takes an image with it that nobody would miss.
TEST_F(Fault, OfTheQueuesSumIsToldAtTheStartAndByItsCommand) {
  pacs_.greet(Greeting::reject_transient);
  gateway_.start();
  EXPECT_EQ(send(1), 0U);
  EXPECT_EQ(send(2), 0U);
  // The journal has them at once, the database in a moment.
  Finished right;
  EXPECT_TRUE(wait_until([&] {
    right = gateway_.run({"queue", "sum"});
    return right.out.find("accepted 2 = delivered 0") != std::string::npos;
  })) << right.out;
  EXPECT_EQ(right.exit_code, 0);
  EXPECT_EQ(gateway_.stop(), 0);
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open((gateway_.data_dir() + "/queue.db").c_str(), &db), SQLITE_OK);
  EXPECT_EQ(
      sqlite3_exec(db, "DELETE FROM deliveries WHERE delivery = 1", nullptr, nullptr, nullptr),
      SQLITE_OK);
  sqlite3_close(db);
  const Finished wrong = gateway_.run({"queue", "sum"});
  EXPECT_EQ(wrong.exit_code, 4);
  EXPECT_THAT(wrong.out, HasSubstr("accepted 2 = delivered 0"));
  EXPECT_THAT(wrong.out, HasSubstr("waiting 1"));
  EXPECT_THAT(wrong.out, HasSubstr("DOES NOT ADD UP"));
  EXPECT_EQ(gateway_.run({"queue", "sum", "--json"}).json().at("adds_up"), false);
  gateway_.start();
  EXPECT_TRUE(gateway_.wait_for_lines(
      "the queue's sum does not add up: what was accepted is not all there; keep a copy of "
      "data_dir and see `sluice queue sum`",
      2))
      << gateway_.log();
  EXPECT_EQ(gateway_.stop(), 0);
}

// One bit inside a value, which SQLite takes for another value.
TEST_F(Fault, OfASingleBitInADatabaseIsFoundAtTheStart) {
  gateway_.start();
  EXPECT_EQ(send(1), 0U);
  EXPECT_TRUE(gateway_.wait_for_empty_spool());
  EXPECT_EQ(gateway_.stop(), 0);
  const std::string path = gateway_.data_dir() + "/queue.db";
  std::string bytes = read_file(path);
  const std::size_t listener = bytes.rfind("modalities");
  ASSERT_NE(listener, std::string::npos);
  bytes[listener] = 'l';  // 6D becomes 6C
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
  gateway_.start();
  ASSERT_TRUE(
      gateway_.wait_for_line("storage faulted: nothing is accepted until a person clears "
                             "it"));
  EXPECT_EQ(send(2), kOutOfResources);
  EXPECT_TRUE(wait_for_fault("changed on disk"));
  EXPECT_EQ(gateway_.stop(), 0);
}

}  // namespace
}  // namespace sluice::test
