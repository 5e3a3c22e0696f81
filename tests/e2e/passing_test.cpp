// acknowledge = "delivered": the destination's answer is the sender's, and nothing of an
// instance is ever on the disk.
#include <atomic>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "tests/crash/generated.h"
#include "tests/deliver/scripted_pacs.h"
#include "tests/e2e/gateway_process.h"

namespace sluice::test {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr std::uint64_t kLarge = 49;  // of generated_instance(): more than is kept in memory
constexpr int kCtContext = 3;         // of RequestParts, implicit VR

class Passing : public ::testing::Test {
 protected:
  Passing() {
    gateway_.configure(
        "[[destination]]\nname = \"pacs\"\nresponse_timeout = \"20s\"\n"
        "address = \"dicom://PACS@127.0.0.1:" +
        std::to_string(pacs_.port()) +
        "\"\n[[filter]]\ntype = \"remap_series_number\"\nrecord_original = false\n"
        "[[route]]\nname = \"all\"\nfilters = [\"sanitize_uids\", \"remap_series_number\"]\n"
        "destinations = [\"pacs\"]\nacknowledge = \"delivered\"\n");
    gateway_.start();
  }
  std::size_t send(const Generated& instance) {
    Sender sender(gateway_.port());
    const auto status = sender.store(instance);
    sender.release();
    return status.value_or(0xFFFF);
  }
  // Anything of it, in whatever file.
  [[nodiscard]] std::string found_on_disk(const std::string& text) const {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(gateway_.data_dir())) {
      if (entry.is_regular_file() &&
          read_file(entry.path().string()).find(text) != std::string::npos) {
        return entry.path().string();
      }
    }
    return {};
  }
  [[nodiscard]] RawPeer associate() const {
    RawPeer peer = RawPeer::connect(gateway_.port());
    EXPECT_TRUE(peer.send(RequestParts().bytes()));
    EXPECT_EQ(peer.receive_pdu().substr(0, 1), "\x02");
    return peer;
  }

  TemporaryFolder folder_;
  std::atomic<std::size_t> status_ = 0;
  ScriptedPacs pacs_{[this](const StoredByPacs&, int) {
    Reaction reaction;
    reaction.status = status_;
    if (status_ != 0) reaction.comment = "said the PACS";
    return reaction;
  }};
  GatewayProcess gateway_{folder_.path("gateway"), ""};
};

TEST_F(Passing, GivesTheDestinationsOwnAnswer) {
  std::uint64_t number = 0;
  for (const std::size_t status :
       {0x0000, 0xB000, 0xB007, 0xA700, 0xA900, 0xC123, 0x0122, 0x0124}) {
    status_ = status;
    for (const std::uint64_t which : {number++, kLarge + 50 * number}) {
      const Generated instance = generated_instance(which);
      EXPECT_EQ(send(instance), status) << which;
      EXPECT_EQ(pacs_.count_of(instance.sop_instance_uid), 1U) << which;
    }
  }
  EXPECT_THAT(gateway_.spooled(), IsEmpty());
  EXPECT_TRUE(gateway_.wait_for_counts({{"delivered", 6}})) << gateway_.log();
  const auto sums = gateway_.run({"queue", "sum", "--json"}).json();
  EXPECT_TRUE(sums.at("adds_up"));
  EXPECT_EQ(gateway_.stop(), 0) << gateway_.log();
  EXPECT_EQ(found_on_disk("SOAK"), "") << "the patient's id";
}

TEST_F(Passing, ChangesWhatTheFiltersSayAndNothingElse) {
  for (const std::uint64_t number : {std::uint64_t{0}, std::uint64_t{20}, kLarge}) {
    const Generated instance = generated_instance(number);
    ASSERT_EQ(send(instance), 0U);
    const StoredByPacs stored = pacs_.stored().back();
    EXPECT_EQ(without_series_number(stored.data_set).rest,
              without_series_number(instance.data_set).rest)
        << number;
  }
  EXPECT_EQ(gateway_.stop(), 0) << gateway_.log();
}

TEST_F(Passing, RefusesWhatCannotBeDelivered) {
  pacs_.greet(Greeting::close);
  EXPECT_EQ(send(generated_instance(0)), 0xA700U);
  EXPECT_EQ(send(generated_instance(kLarge)), 0xA700U);
  pacs_.greet(Greeting::accept);
  EXPECT_EQ(send(generated_instance(0)), 0U) << "tried anew each time";
  EXPECT_THAT(gateway_.spooled(), IsEmpty());
  EXPECT_EQ(gateway_.stop(), 0) << gateway_.log();
}

TEST_F(Passing, GivesNothingWholeOfWhatIsBrokenOff) {
  const std::string uid = "1.2.3.9.1";
  const std::string message =
      store_in_pieces(kCtContext, store_request(kCtStorage, uid), large_data_set(kCtStorage, uid));
  for (const std::size_t length : {message.size() / 2, message.size() - 1}) {
    RawPeer peer = associate();
    ASSERT_TRUE(peer.send(message.substr(0, length)));
    ASSERT_TRUE(wait_until([&] { return pacs_.associations() > 0; }));
    peer.close();
    ASSERT_TRUE(gateway_.wait_for_line("not stored: the association ended inside the instance"));
  }
  EXPECT_EQ(pacs_.count_of(uid), 0U);
  EXPECT_EQ(gateway_.stop(), 0) << gateway_.log();
}

TEST_F(Passing, GivesNothingWholeOfWhatIsNotSound) {
  const std::string uid = "1.2.3.9.2";
  const std::string whole = large_data_set(kCtStorage, uid);
  const std::string short_of_pixels = whole.substr(0, whole.size() - 2);
  const std::string with_rubbish_behind = whole + std::string(7, '\x01');
  const std::string other_class = large_data_set("1.2.840.10008.5.1.4.1.1.4", uid);
  for (const auto& [data_set, status] :
       {std::pair(short_of_pixels, 0xC000U), std::pair(with_rubbish_behind, 0xC000U),
        std::pair(other_class, 0xA900U)}) {
    const RawPeer peer = associate();
    ASSERT_TRUE(peer.send(store_in_pieces(kCtContext, store_request(kCtStorage, uid), data_set)));
    EXPECT_THAT(peer.receive_pdu(), HasSubstr(element(0x0900, little16(status))));
  }
  EXPECT_EQ(pacs_.count_of(uid), 0U);
  EXPECT_EQ(gateway_.stop(), 0) << gateway_.log();
}

}  // namespace
}  // namespace sluice::test
