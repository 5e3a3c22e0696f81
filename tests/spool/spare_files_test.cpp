#include "gateway/spool/spare_files.h"

#include <atomic>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gateway/spool/spool.h"
#include "tests/spool/store.h"
#include "tests/support/failing_calls.h"
#include "tests/support/small_disk.h"
#include "tests/support/temporary_folder.h"

namespace sluice {
namespace {

namespace fs = std::filesystem;
using test::Call;
using test::FailingCall;
using test::store;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

std::unique_ptr<Spool> open_with_spares(const std::string& folder, std::size_t most = 4) {
  auto spool = Spool::open(folder, {.spare_files = most});
  if (!spool) throw std::runtime_error(spool.error().message);
  return std::move(*spool);
}

std::string read_back(const Spool& spool, const StoredFile& stored) {
  const auto reader = spool.read(stored);
  if (!reader || !reader->verify(stored.digest)) return "not what was stored";
  std::string bytes(static_cast<std::size_t>(stored.data_set_length), '\0');
  const auto got = reader->read(0, std::as_writable_bytes(std::span(bytes)));
  return got ? bytes : got.error().message;
}

ino_t inode_of(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 ? status.st_ino : 0;
}

class Spares : public testing::Test {
 protected:
  [[nodiscard]] std::vector<std::string> spares() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder_.path("spool.spare"))) {
      names.push_back(entry.path().filename().string());
    }
    return names;
  }

  const test::TemporaryFolder folder_;
};

TEST_F(Spares, WhatIsDoneIsWrittenOver) {
  const auto spool = open_with_spares(folder_.path("spool"));
  std::string bytes(300'000, 'o');
  // Longer, shorter, and of the same length as what stood there.
  for (const std::size_t length : {400'000U, 200'000U, 200'000U, 13U, 0U, 900'000U}) {
    const auto before = store(*spool, bytes);
    ASSERT_TRUE(before && spool->sync_directory());
    const ino_t inode = inode_of(spool->path(before->id));
    ASSERT_TRUE(spool->remove(before->id));
    EXPECT_THAT(*spool->list(), IsEmpty());
    EXPECT_THAT(spares(), SizeIs(1));

    bytes.assign(length, static_cast<char>('a' + length % 26));
    const auto stored = store(*spool, bytes);
    ASSERT_TRUE(stored);
    EXPECT_EQ(inode_of(spool->path(stored->id)), inode);
    EXPECT_THAT(spares(), IsEmpty());
    EXPECT_THAT(*spool->list(), ElementsAre(stored->id));
    EXPECT_TRUE(read_back(*spool, *stored) == bytes);
    ASSERT_TRUE(spool->remove(stored->id));
  }
  EXPECT_TRUE(spool->remove("20260101T000000.000000-00000000")) << "missing is no error";
}

TEST_F(Spares, NeedNoSyncOfTheFolder) {
  const auto spool = open_with_spares(folder_.path("spool"));
  const auto first = store(*spool, "first");
  ASSERT_TRUE(first && spool->sync_directory() && spool->remove(first->id));
  const auto second = store(*spool, "second");
  ASSERT_TRUE(second);
  {
    const FailingCall failing(Call::fsync, EIO);
    EXPECT_TRUE(spool->sync_directory());
    EXPECT_FALSE(failing.fired());
    ASSERT_TRUE(store(*spool, "one that no spare file is there for"));
    EXPECT_FALSE(spool->sync_directory());
    EXPECT_TRUE(failing.fired());
  }
  EXPECT_TRUE(spool->is_faulted());
  EXPECT_EQ(read_back(*spool, *second), "second");
}

// Who has an instance open goes on reading that one, whatever is received meanwhile.
TEST_F(Spares, NobodyReadsOtherBytesThanItsOwn) {
  const auto spool = open_with_spares(folder_.path("spool"));
  const auto first = store(*spool, std::string(900'000, '1'));
  ASSERT_TRUE(first);
  const auto reader = spool->read(*first);
  ASSERT_TRUE(reader);
  ASSERT_TRUE(spool->remove(first->id));
  EXPECT_THAT(spares(), IsEmpty());
  ASSERT_TRUE(store(*spool, std::string(900'000, '2')));
  EXPECT_TRUE(reader->verify(first->digest));

  const auto linked = store(*spool, "in somebody's collection");
  ASSERT_TRUE(linked);
  fs::create_hard_link(spool->path(linked->id), folder_.path("collected"));
  ASSERT_TRUE(spool->remove(linked->id));
  EXPECT_THAT(spares(), IsEmpty());
  EXPECT_TRUE(fs::exists(folder_.path("collected")));
}

TEST_F(Spares, AreFewAndSmallAndGoWithTheGateway) {
  auto spool = open_with_spares(folder_.path("spool"), 2);
  const auto large = store(*spool, std::string(SpareFiles::kLargest, 'l'));
  ASSERT_TRUE(large && spool->remove(large->id));
  EXPECT_THAT(spares(), IsEmpty());
  for (const char* bytes : {"one", "two", "three"}) ASSERT_TRUE(store(*spool, bytes));
  const auto ids = *spool->list();
  for (const std::string& id : ids) ASSERT_TRUE(spool->remove(id));
  EXPECT_THAT(spares(), SizeIs(2));
  EXPECT_THAT(*spool->list(), IsEmpty());
  spool.reset();
  EXPECT_THAT(spares(), IsEmpty());
}

TEST_F(Spares, TheNearestInSizeIsTaken) {
  const auto spool = open_with_spares(folder_.path("spool"));
  std::map<std::size_t, ino_t> inodes;
  std::vector<std::string> ids;
  for (const std::size_t size : {100'000U, 400'000U, 10'000U}) {
    const auto stored = store(*spool, std::string(size, 's'));
    ASSERT_TRUE(stored);
    inodes[size] = inode_of(spool->path(stored->id));
    ids.push_back(stored->id);
  }
  for (const std::string& id : ids) ASSERT_TRUE(spool->remove(id));
  const auto taken_for = [&](std::size_t size) {
    const auto stored = store(*spool, std::string(size, 't'));
    return stored ? inode_of(spool->path(stored->id)) : 0;
  };
  EXPECT_EQ(taken_for(50'000), inodes[100'000]);
  EXPECT_EQ(taken_for(500'000), inodes[400'000]) << "none is large enough";
  EXPECT_EQ(taken_for(9'000), inodes[10'000]);
}

TEST_F(Spares, ManyThreadsGetTheirOwnBytesBack) {
  const auto spool = open_with_spares(folder_.path("spool"), 8);
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (std::size_t writer = 0; writer < 6; ++writer) {
    threads.emplace_back([&, writer] {
      for (std::size_t n = 0; n < 60; ++n) {
        const std::string bytes(1000 + 5000 * (n % 7), static_cast<char>('a' + (writer + n) % 26));
        const auto stored = store(*spool, bytes);
        const bool is_right = stored && spool->sync_directory() &&
                              read_back(*spool, *stored) == bytes && spool->remove(stored->id);
        if (!is_right) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_FALSE(spool->is_faulted());
  EXPECT_THAT(*spool->list(), IsEmpty());
  EXPECT_LE(spares().size(), 8U);
}

TEST_F(Spares, AreNotReadyBeforeTheirNamesAre) {
  const auto spool = open_with_spares(folder_.path("spool"));
  const auto stored = store(*spool, "image");
  ASSERT_TRUE(stored);
  const ino_t inode = inode_of(spool->path(stored->id));
  {
    const FailingCall failing(Call::fsync, EIO);
    EXPECT_FALSE(spool->remove(stored->id));
  }
  EXPECT_TRUE(spool->is_faulted());
  EXPECT_FALSE(store(*spool, "other"));
  EXPECT_THAT(spares(), SizeIs(1));
  EXPECT_EQ(inode_of(folder_.path("spool.spare/" + spares().front())), inode) << "not written to";
}

TEST_F(Spares, AFailedWriteLeavesNothing) {
  for (const Call call : {Call::write, Call::truncate, Call::fdatasync, Call::renameat}) {
    const test::TemporaryFolder folder;
    const auto spool = open_with_spares(folder.path("spool"));
    const auto stored = store(*spool, "an image that is done");
    ASSERT_TRUE(stored && spool->remove(stored->id));
    {
      const FailingCall failing(call, EIO);
      EXPECT_FALSE(store(*spool, "another"));
      EXPECT_TRUE(failing.fired());
    }
    EXPECT_TRUE(spool->is_faulted());
    EXPECT_THAT(*spool->list(), IsEmpty());
    EXPECT_TRUE(fs::is_empty(folder.path("spool.spare")));
  }
}

TEST_F(Spares, NoneWhileTheDiskIsNearlyFull) {
  const test::SmallDisk disk(8 * 1024);
  if (!disk.is_mounted()) GTEST_SKIP() << disk.why_not();
  const auto spool = open_with_spares(disk.path("spool"));
  const auto stored = store(*spool, "image");
  ASSERT_TRUE(stored && spool->remove(stored->id));
  EXPECT_TRUE(fs::is_empty(disk.path("spool")));
  EXPECT_TRUE(fs::is_empty(disk.path("spool.spare")));
}

TEST_F(Spares, AFileThatLostItsNameGetsItBack) {
  StoredFile stored;
  {
    const auto spool = open_with_spares(folder_.path("spool"));
    stored = *store(*spool, "acknowledged");
    fs::rename(spool->path(stored.id), folder_.path("spool.spare/old.dcm.spare"));
  }
  std::ofstream(folder_.path("spool.spare/other.dcm.spare")) << "of nobody";
  StoredFile missing = stored;
  missing.digest = std::string(32, '0');
  {
    const auto spool = open_with_spares(folder_.path("spool"));
    EXPECT_TRUE(spool->has_left_over());
    EXPECT_THAT(*spool->recover({missing}), IsEmpty());
    EXPECT_FALSE(spool->has_left_over());
  }
  EXPECT_THAT(spares(), SizeIs(2)) << "one of them may be what is missing";
  const auto spool = open_with_spares(folder_.path("spool"));
  spool->distrust();  // a fault that lasts is no hindrance
  EXPECT_THAT(*spool->recover({missing, stored}), ElementsAre(stored.id));
  EXPECT_EQ(read_back(*spool, stored), "acknowledged");
  EXPECT_THAT(spares(), ElementsAre("other.dcm.spare"));
}

TEST_F(Spares, WhatTheGatewayBeforeLeftIsRemoved) {
  fs::create_directories(folder_.path("spool.spare"));
  std::ofstream(folder_.path("spool.spare/other.dcm.spare")) << "of nobody";
  std::ofstream(folder_.path("spool.spare/notes.txt")) << "a person's";
  const auto spool = open_with_spares(folder_.path("spool"));
  EXPECT_THAT(*spool->recover({}), IsEmpty());
  EXPECT_THAT(spares(), ElementsAre("notes.txt"));
}

// A gateway that stores, and removes what is done; what it says is what its queue would know.
void live(const std::string& folder, int said) {
  test::read_environment();
  const auto say = [said](const std::string& line) {
    if (::write(said, line.data(), line.size()) < 0) ::_exit(1);
  };
  const auto spool = open_with_spares(folder + "/spool");
  std::deque<std::string> waiting;
  for (std::size_t n = 0; n < 12; ++n) {
    const auto stored = store(*spool, std::string(1000 + 37 * (n % 5), static_cast<char>(n)));
    if (!stored || !spool->sync_directory()) ::_exit(1);
    say("acknowledged " + stored->id + " " + std::to_string(stored->data_set_offset) + " " +
        std::to_string(stored->data_set_length) + " " + stored->digest + "\n");
    waiting.push_back(stored->id);
    if (waiting.size() < 3) continue;
    say("done " + waiting.front() + "\n");
    if (!spool->remove(waiting.front())) ::_exit(1);
    waiting.pop_front();
  }
}

// The files that must be there after a life which a power cut ended at its nth change of the
// disk. nullopt: it came to its end before.
std::optional<std::map<std::string, StoredFile>> cut_off(const std::string& folder, int nth,
                                                         int seed) {
  int said[2] = {-1, -1};
  if (::pipe(said) != 0) throw std::runtime_error("no pipe");
  const pid_t child = ::fork();
  if (child == 0) {
    const std::string fault = "call=any path=/spool nth=" + std::to_string(nth) +
                              " do=cut root=" + folder + " seed=" + std::to_string(seed);
    ::setenv("SLUICE_TEST_FAULT", fault.c_str(), 1);
    live(folder, said[1]);
    ::_exit(0);
  }
  ::close(said[1]);
  std::string text;
  char buffer[4096];
  for (ssize_t got = 0; (got = ::read(said[0], buffer, sizeof buffer)) > 0;) {
    text.append(buffer, static_cast<std::size_t>(got));
  }
  ::close(said[0]);
  int status = 0;
  if (child < 0 || ::waitpid(child, &status, 0) != child) throw std::runtime_error("no child");
  if (WIFEXITED(status)) {
    EXPECT_EQ(WEXITSTATUS(status), 0);
    return std::nullopt;
  }
  std::map<std::string, StoredFile> files;
  std::istringstream words(text);
  for (std::string word, id; words >> word >> id;) {
    if (word == "done") {
      files.erase(id);
      continue;
    }
    StoredFile& file = files[id];
    file.id = id;
    words >> file.data_set_offset >> file.data_set_length >> file.digest;
  }
  return files;
}

class SparesCut : public testing::TestWithParam<int> {};

TEST_P(SparesCut, NoPowerCutLosesAFile) {
  std::size_t recovered = 0;
  int nth = 1;
  for (;; ++nth) {
    SCOPED_TRACE("cut before call " + std::to_string(nth));
    const test::TemporaryFolder folder;
    const auto files = cut_off(folder.path(), nth, GetParam());
    if (!files) break;
    const auto spool = open_with_spares(folder.path("spool"));
    const auto names = spool->list();
    ASSERT_TRUE(names);
    std::vector<StoredFile> missing;
    for (const auto& [id, file] : *files) {
      if (!std::ranges::binary_search(*names, id)) missing.push_back(file);
    }
    const auto found = spool->recover(missing);
    ASSERT_TRUE(found);
    ASSERT_EQ(found->size(), missing.size());
    recovered += found->size();
    for (const auto& [id, file] : *files) {
      ASSERT_NE(read_back(*spool, file), "not what was stored") << id;
    }
  }
  EXPECT_GT(nth, 50) << "fewer calls than there must be";
  if (GetParam() == 0) {
    EXPECT_GT(recovered, 10U) << "no name was lost";
  }
}

// All that was not synced is gone, or some of it, by chance.
INSTANTIATE_TEST_SUITE_P(Seed, SparesCut, testing::Values(0, 11, 4),
                         [](const auto& test) { return std::to_string(test.param); });

}  // namespace
}  // namespace sluice
