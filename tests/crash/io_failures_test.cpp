// The whole gateway on a disk that fails: the nth call of a kind, for every n until there is
// no nth. Whatever happens, what was acknowledged arrives after a restart, what was refused
// does not, and after a failure that is more than a full disk nothing more is acknowledged.
#include <cerrno>
#include <chrono>
#include <fstream>
#include <memory>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "gateway/base/log.h"
#include "gateway/command/fault.h"
#include "gateway/command/gateway.h"
#include "tests/crash/generated.h"
#include "tests/crash/oracle.h"
#include "tests/deliver/scripted_pacs.h"
#include "tests/support/failing_calls.h"
#include "tests/support/process.h"
#include "tests/support/temporary_folder.h"

namespace sluice::test {
namespace {

constexpr int kMostCalls = 1000;

// A sanitizer's build is slow and looks for other things: not every call there.
#if defined(SLUICE_SANITIZED)
constexpr int kStep = 10;
#else
constexpr int kStep = 1;
#endif

class Site {
 public:
  explicit Site(const std::string& acknowledge) {
    std::ofstream(folder_.path("sluice.toml"))
        << "[gateway]\ndata_dir = \"" << data_dir()
        << "\"\ndrain_timeout = \"1s\"\nlog_level = \"error\"\n"
           "[[listener]]\naddress = \"127.0.0.1\"\nport = 0\n"
           "[[destination]]\nname = \"pacs\"\nassociations = 1\naddress = \"dicom://PACS@127.0.0.1:"
        << pacs_.port()
        << "\"\nretry_min = \"10ms\"\nretry_max = \"50ms\"\n"
           "[[filter]]\ntype = \"remap_series_number\"\nrecord_original = false\n"
           "[[route]]\nfilters = [\"sanitize_uids\", \"merge_studies\", "
           "\"remap_series_number\"]\ndestinations = [\"pacs\"]\nacknowledge = \""
        << acknowledge << "\"\n";
    std::filesystem::create_directory(data_dir());
    log::configure(log::Level::error, log::Format::human);
  }

  [[nodiscard]] std::string data_dir() const { return folder_.path("data"); }
  Oracle& oracle() { return oracle_; }
  void hold_deliveries(bool hold) {
    pacs_.greet(hold ? Greeting::reject_transient : Greeting::accept);
  }

  // nullptr when it does not start.
  [[nodiscard]] std::unique_ptr<command::RunningGateway> start() const {
    auto gateway =
        command::RunningGateway::start(std::make_shared<const Setup>(command::load(
                                           folder_.path("sluice.toml"), std::string(64, 'a'))),
                                       {});
    return gateway ? std::move(*gateway) : nullptr;
  }

  // Each on an association of its own. False when one was acknowledged behind a fault.
  bool send(const command::RunningGateway& gateway, std::uint64_t first, std::uint64_t count) {
    bool right = true;
    for (std::uint64_t n = first; n < first + count; ++n) {
      const bool faulted = command::read_fault(data_dir()).has_value();
      const Generated instance = generated_instance(n);
      Sender sender(gateway.ports().front());
      const auto status = sender.store(instance);
      if (!status) {
        oracle_.unanswered(instance);
      } else {
        oracle_.answered(instance, *status);
        right = right && !(faulted && *status == 0);
      }
      sender.release();
    }
    return right;
  }

 private:
  TemporaryFolder folder_;
  Oracle oracle_;
  ScriptedPacs pacs_{[this](const StoredByPacs& stored, int) {
    oracle_.delivered(stored);
    return Reaction{};
  }};
};

struct Failing {
  const char* name;
  Call call;
  int error_number;
  bool from_then_on;
};

class IoFailure : public testing::TestWithParam<Failing> {};

// True if the nth call was there to fail.
bool fail_nth(const Failing& how, int nth, const std::string& acknowledge) {
  Site site(acknowledge);
  site.hold_deliveries(true);
  {
    const auto before = site.start();
    if (before == nullptr || !site.send(*before, 0, 1)) ADD_FAILURE() << "not even a sound disk";
    static_cast<void>(before->stop());
  }
  EXPECT_EQ(site.oracle().acknowledged(), 1U);
  site.hold_deliveries(false);
  bool fired = false;
  {
    // Libraries, terminals and what wakes a thread are read and written too, and are another
    // matter.
    const bool is_ours = how.call == Call::read || how.call == Call::write;
    const FailingCall failing(how.call, how.error_number, nth, how.from_then_on,
                              is_ours ? site.data_dir() : "");
    if (const auto gateway = site.start()) {
      EXPECT_TRUE(site.send(*gateway, 20, 3)) << "acknowledged on a disk that had failed";
      // Once more: whether it is a duplicate is asked of the disk.
      EXPECT_TRUE(site.send(*gateway, 20, 1)) << "acknowledged on a disk that had failed";
      // Deliveries may go on or not; that they do not is found out below.
      const auto is_complete = [&] { return site.oracle().is_complete(); };
      static_cast<void>(wait_until([&] { return is_complete() || FailingCall::fired(); },
                                   std::chrono::milliseconds(5000)));
      static_cast<void>(wait_until(is_complete, std::chrono::milliseconds(100)));
      static_cast<void>(gateway->stop());
    }
    fired = FailingCall::fired();
  }
  if (command::read_fault(site.data_dir())) {
    // But a sync that failed is one, for whatever reason.
    EXPECT_TRUE(how.error_number != ENOSPC || how.call == Call::fdatasync)
        << "a full disk is no fault";
    const auto faulted = site.start();
    if (faulted == nullptr) {
      ADD_FAILURE() << "a fault must not keep it from delivering";
    } else {
      EXPECT_TRUE(site.send(*faulted, 40, 1)) << "acknowledged before the fault was cleared";
      static_cast<void>(faulted->stop());
    }
    EXPECT_TRUE(command::clear_fault(site.data_dir(), "test", "disk changed"));
  }
  const auto after = site.start();
  if (after == nullptr) {
    ADD_FAILURE() << "does not start on a sound disk";
    return fired;
  }
  EXPECT_TRUE(site.send(*after, 60, 1));
  EXPECT_TRUE(wait_until([&] { return site.oracle().is_complete(); }));
  static_cast<void>(after->stop());
  const Oracle::Table table = site.oracle().table();
  EXPECT_GE(table.acknowledged, 2U) << "the one before and the one after";
  EXPECT_EQ(table.lost, 0U);
  EXPECT_EQ(table.altered, 0U);
  EXPECT_EQ(table.forwarded, 0U) << "refused, and delivered all the same";
  return fired;
}

TEST_P(IoFailure, LosesAndForgesNothing) {
  int nth = 1;
  for (bool fired = true; fired && !HasFailure(); nth += kStep) {
    ASSERT_LT(nth, kMostCalls);
    SCOPED_TRACE("call " + std::to_string(nth));
    fired = fail_nth(GetParam(), nth, "stored");
    // Less of it is by way of the disk.
    if (nth % 6 == 0) static_cast<void>(fail_nth(GetParam(), nth / 3, "safe"));
  }
  EXPECT_GT(nth, 1 + kStep) << "no such call was ever made";
}

INSTANTIATE_TEST_SUITE_P(Disk, IoFailure,
                         testing::Values(Failing{"OpenOnce", Call::open, EIO, false},
                                         Failing{"OpenForGood", Call::open, EIO, true},
                                         Failing{"WriteOnce", Call::write, EIO, false},
                                         Failing{"WriteForGood", Call::write, EIO, true},
                                         Failing{"TruncateOnce", Call::truncate, EIO, false},
                                         Failing{"AllocateForGood", Call::allocate, EIO, true},
                                         Failing{"FdatasyncOnce", Call::fdatasync, EIO, false},
                                         Failing{"FdatasyncForGood", Call::fdatasync, EIO, true},
                                         Failing{"FsyncOnce", Call::fsync, EIO, false},
                                         Failing{"FsyncForGood", Call::fsync, EIO, true},
                                         Failing{"CloseOnce", Call::close, EIO, false},
                                         Failing{"RenameOnce", Call::renameat, EIO, false},
                                         Failing{"UnlinkOnce", Call::unlinkat, EIO, false},
                                         Failing{"UnlinkForGood", Call::unlinkat, EIO, true},
                                         Failing{"ReadOnce", Call::read, EIO, false},
                                         Failing{"ReadForGood", Call::read, EIO, true},
                                         Failing{"WriteFullOnce", Call::write, ENOSPC, false},
                                         Failing{"WriteFullForGood", Call::write, ENOSPC, true},
                                         Failing{"OpenFullForGood", Call::open, ENOSPC, true},
                                         Failing{"FdatasyncFullForGood", Call::fdatasync, ENOSPC,
                                                 true}),
                         [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace sluice::test
