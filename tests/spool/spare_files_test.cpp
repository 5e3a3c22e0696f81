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

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
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
using ::testing::EndsWith;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

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
  void SetUp() override {
    const FileDescriptor folder(::open(folder_.path().c_str(), O_RDONLY | O_DIRECTORY));
    if (!SpareFiles::are_possible(folder.get())) GTEST_SKIP() << "not on this file system";
  }
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

// A name is a name: what stands under it is not acknowledged before it is on the disk.
TEST_F(Spares, NeedASyncOfTheFolderAsAllOthers) {
  const auto spool = open_with_spares(folder_.path("spool"));
  const auto first = store(*spool, "first");
  ASSERT_TRUE(first && spool->sync_directory() && spool->remove(first->id));
  const auto second = store(*spool, "second");
  ASSERT_TRUE(second);
  {
    const FailingCall failing(Call::fsync, EIO);
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

// Also who came while it was being kept, or looks into the folder of the spare ones.
TEST_F(Spares, AreLookedAtOnceMoreBeforeTheyAreWrittenOver) {
  const auto spool = open_with_spares(folder_.path("spool"));
  const auto done = store(*spool, "the first");
  ASSERT_TRUE(done && spool->remove(done->id));
  ASSERT_THAT(spares(), SizeIs(1));
  std::ifstream opened(folder_.path("spool.spare/" + spares().front()));
  const auto stored = store(*spool, "the other");
  ASSERT_TRUE(stored);
  EXPECT_THAT(std::string(std::istreambuf_iterator<char>(opened), {}), EndsWith("the first"));
  EXPECT_THAT(spares(), IsEmpty());

  ASSERT_TRUE(spool->remove(stored->id));
  ASSERT_THAT(spares(), SizeIs(1));
  fs::create_hard_link(folder_.path("spool.spare/" + spares().front()), folder_.path("copied"));
  ASSERT_TRUE(store(*spool, "one more"));
  std::ifstream copied(folder_.path("copied"));
  EXPECT_THAT(std::string(std::istreambuf_iterator<char>(copied), {}), EndsWith("the other"));
}

// A file that is opened while its lease is asked for breaks that, which must end nobody.
TEST_F(Spares, WhoOpensAllThatHeFindsHarmsNobody) {
  const auto spool = open_with_spares(folder_.path("spool"));
  std::atomic<bool> is_over = false;
  std::thread indexer([&] {
    while (!is_over) {
      for (const char* const folder : {"spool", "spool.spare"}) {
        std::error_code error;
        fs::directory_iterator entry(folder_.path(folder), error);
        for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
          const std::ifstream opened(entry->path());
        }
      }
    }
  });
  for (std::size_t n = 0; n < 500; ++n) {
    const std::string bytes(1000, static_cast<char>('a' + n % 26));
    const auto stored = store(*spool, bytes);
    EXPECT_TRUE(stored && read_back(*spool, *stored) == bytes && spool->remove(stored->id));
  }
  is_over = true;
  indexer.join();
  EXPECT_FALSE(spool->is_faulted());
}

// The next one would have its owner, its rights and its labels.
TEST_F(Spares, AreFilesAsTheSpoolMakesThem) {
  const auto spool = open_with_spares(folder_.path("spool"));
  const auto readable = store(*spool, "readable by others");
  ASSERT_TRUE(readable);
  fs::permissions(spool->path(readable->id), fs::perms::others_read, fs::perm_options::add);
  EXPECT_TRUE(spool->remove(readable->id));
  const auto labelled = store(*spool, "labelled");
  ASSERT_TRUE(labelled);
  if (::setxattr(spool->path(labelled->id).c_str(), "user.a", "b", 1, 0) == 0) {
    EXPECT_TRUE(spool->remove(labelled->id));
  }
  const std::string pipe = "20260101T000000.000000-00000000";
  ASSERT_EQ(::mkfifo(spool->path(pipe).c_str(), 0600), 0);
  EXPECT_TRUE(spool->remove(pipe)) << "and nobody waits for who reads it";
  EXPECT_THAT(spares(), IsEmpty());
  EXPECT_FALSE(fs::exists(spool->path(readable->id)));
  EXPECT_FALSE(fs::exists(spool->path(pipe)));
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

TEST_F(Spares, WhatTheGatewayBeforeLeftIsRemoved) {
  fs::create_directories(folder_.path("spool.spare/a_folder.spare"));
  std::ofstream(folder_.path("spool.spare/old.dcm.spare")) << "done";
  std::ofstream(folder_.path("spool.spare/notes.txt")) << "a person's";
  fs::create_symlink("notes.txt", folder_.path("spool.spare/link.spare"));
  const auto spool = open_with_spares(folder_.path("spool"));
  EXPECT_THAT(spares(), UnorderedElementsAre("notes.txt", "a_folder.spare", "link.spare"));
  EXPECT_FALSE(spool->is_faulted());
  const auto stored = store(*spool, "image");
  EXPECT_TRUE(stored && spool->remove(stored->id));
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
  int nth = 1;
  for (;; ++nth) {
    SCOPED_TRACE("cut before call " + std::to_string(nth));
    const test::TemporaryFolder folder;
    const auto files = cut_off(folder.path(), nth, GetParam());
    if (!files) break;
    const auto spool = open_with_spares(folder.path("spool"));
    for (const auto& [id, file] : *files) {
      ASSERT_NE(read_back(*spool, file), "not what was stored") << id;
    }
  }
  EXPECT_GT(nth, 50) << "fewer calls than there must be";
}

// All that was not synced is gone, or some of it, by chance.
INSTANTIATE_TEST_SUITE_P(Seed, SparesCut, testing::Values(0, 11, 4),
                         [](const auto& test) { return std::to_string(test.param); });

}  // namespace
}  // namespace sluice
