#include "gateway/spool/spool.h"

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/spool/store.h"
#include "tests/support/failing_calls.h"
#include "tests/support/fixtures.h"
#include "tests/support/small_disk.h"
#include "tests/support/temporary_folder.h"

namespace sluice {
namespace {

namespace fs = std::filesystem;
using test::bytes_of;
using test::Call;
using test::FailingCall;
using test::kMeta;
using test::store;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr std::size_t kLongestErrorComment = 64;

std::unique_ptr<Spool> open_spool(const std::string& folder) {
  auto spool = Spool::open(folder);
  if (!spool) throw std::runtime_error(spool.error().message);
  return std::move(*spool);
}

std::vector<std::string> names_in(const std::string& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) {
    names.push_back(entry.path().filename().string());
  }
  return names;
}

// Behind the file meta information, whose group length stands at 140 (PS3.10 7.1).
std::string data_set_of(const std::string& file) {
  std::uint32_t length = 0;
  std::memcpy(&length, file.data() + 140, sizeof length);
  return file.substr(144 + length);
}

std::string output_of(const std::string& command) {
  // NOLINTNEXTLINE(cert-env33-c): the commands are those of this file
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen((command + " 2>&1").c_str(), "r"), pclose);
  std::string output;
  for (int c = std::fgetc(pipe.get()); c != EOF; c = std::fgetc(pipe.get())) {
    output += static_cast<char>(c);
  }
  return output;
}

TEST(Spool, KeepsTheDataSetByteForByte) {
  const test::TemporaryFolder folder;
  const auto spool = open_spool(folder.path("spool"));
  for (const std::size_t length : {0U, 1U, 2U, 65'536U, 785'900U, 786'432U, 786'433U, 1'572'865U}) {
    std::string data_set(length, '\0');
    for (std::size_t i = 0; i < length; ++i) data_set[i] = static_cast<char>(i * 31 + i / 256);
    auto incoming = spool->create(kMeta);
    ASSERT_TRUE(incoming);
    for (std::size_t at = 0; at < length; at += 16'382) {
      ASSERT_TRUE(incoming->append(
          bytes_of(data_set).subspan(at, std::min<std::size_t>(16'382, length - at))));
    }
    EXPECT_EQ(incoming->length(), length);
    const auto stored = incoming->close();
    ASSERT_TRUE(stored);
    EXPECT_EQ(stored->data_set_length, length);
    const std::string file = test::read_file(spool->path(stored->id));
    EXPECT_EQ(file.substr(0, 128), std::string(128, '\0'));
    EXPECT_EQ(file.substr(128, 4), "DICM");
    EXPECT_EQ(file.substr(stored->data_set_offset), data_set);
    EXPECT_EQ(data_set_of(file), data_set);

    const auto reader = spool->read(*stored);
    ASSERT_TRUE(reader) << reader.error().message;
    EXPECT_TRUE(reader->verify(stored->digest));
    std::string read(length + 10, '?');
    const auto got = reader->read(0, std::as_writable_bytes(std::span(read)));
    ASSERT_TRUE(got);
    EXPECT_EQ(read.substr(0, *got), data_set);
  }
}

TEST(Spool, TakesBytesInOnePieceLargerThanItsBuffer) {
  const test::TemporaryFolder folder;
  const auto spool = open_spool(folder.path("spool"));
  const std::string data_set(3'000'001, 'p');
  const auto stored = store(*spool, data_set);
  ASSERT_TRUE(stored);
  EXPECT_EQ(test::read_file(spool->path(stored->id)).substr(stored->data_set_offset), data_set);
}

TEST(Spool, DigestIsTheCanonicalXxh3) {
  const test::TemporaryFolder folder;
  const auto spool = open_spool(folder.path("spool"));
  EXPECT_EQ(store(*spool, "")->digest,
            "99aa06d3014798d86001c324468d497f");  // of xxHash's own tests
}

TEST(Spool, WritesAFileThatDcmtkReads) {
  const test::TemporaryFolder folder;
  const auto spool = open_spool(folder.path("spool"));
  const std::string original = test::read_file(test::fixture("CT_small.dcm"));
  const auto stored = store(*spool, data_set_of(original));
  ASSERT_TRUE(stored);
  const std::string dump = output_of("dcmdump -M +L " + spool->path(stored->id));
  EXPECT_THAT(dump, HasSubstr("UI =CTImageStorage"));
  EXPECT_THAT(dump, HasSubstr("UI [1.2.3.4]"));
  EXPECT_THAT(dump, HasSubstr("=LittleEndianExplicit"));
  EXPECT_THAT(dump, HasSubstr("[SLUICE_0_1]"));
  EXPECT_THAT(dump, HasSubstr("AE [CT1]"));
  EXPECT_THAT(dump, HasSubstr("[CompressedSamples^CT1]"));
  EXPECT_EQ(dump.find("E: "), std::string::npos) << dump;
}

TEST(Spool, HostileUidsDoNotBreakTheFile) {
  const test::TemporaryFolder folder;
  const auto spool = open_spool(folder.path("spool"));
  const std::string data_set = data_set_of(test::read_file(test::fixture("CT_small.dcm")));
  const std::string hostile[] = {"",
                                 std::string("1.2\0.3\n\x1b[31m", 12),
                                 "../../etc/passwd",
                                 std::string(70'000, '9'),
                                 "1.2.3.4.5 ",
                                 "1\\2"};
  for (const std::string& uid : hostile) {
    auto incoming = spool->create({kMeta.sop_class_uid, uid, kMeta.transfer_syntax_uid, uid});
    ASSERT_TRUE(incoming);
    ASSERT_TRUE(incoming->append(bytes_of(data_set)));
    const auto stored = incoming->close();
    ASSERT_TRUE(stored);
    EXPECT_EQ(data_set_of(test::read_file(spool->path(stored->id))), data_set);
    const std::string dump = output_of("dcmdump -M " + spool->path(stored->id));
    EXPECT_THAT(dump, HasSubstr("[CompressedSamples^CT1]"));
  }
}

TEST(Spool, NamesSortByReceiptAndAreUniqueOverThreads) {
  const test::TemporaryFolder folder;
  const auto spool = open_spool(folder.path("spool"));
  std::vector<std::vector<std::string>> ids(8);
  std::vector<std::thread> threads;
  threads.reserve(8);
  for (auto& mine : ids) {
    threads.emplace_back([&spool, &mine] {
      for (int i = 0; i < 50; ++i) mine.push_back(spool->create(kMeta)->id());
    });
  }
  for (auto& thread : threads) thread.join();
  std::vector<std::string> all;
  for (const auto& mine : ids) {
    EXPECT_TRUE(std::is_sorted(mine.begin(), mine.end()));
    all.insert(all.end(), mine.begin(), mine.end());
  }
  std::sort(all.begin(), all.end());
  EXPECT_EQ(std::adjacent_find(all.begin(), all.end()), all.end());
  EXPECT_EQ(all.size(), 400U);
  EXPECT_THAT(all.front(), ::testing::MatchesRegex("[0-9]{8}T[0-9]{6}\\.[0-9]{6}-[0-9a-f]{8}"));
}

TEST(Spool, FilesAreForTheOwnerOnlyWhateverTheUmask) {
  const test::TemporaryFolder folder;
  const mode_t before = ::umask(0277);
  const auto spool = open_spool(folder.path("data/spool"));
  const auto stored = store(*spool, "x");
  ::umask(before);
  ASSERT_TRUE(stored);
  struct stat status {};
  ASSERT_EQ(::stat(spool->path(stored->id).c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777U, 0600U);
  ASSERT_EQ(::stat(folder.path("data/spool").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777U, 0700U);
}

TEST(Spool, DiscardRemovesAClosedFile) {
  const test::TemporaryFolder folder;
  const auto spool = open_spool(folder.path("spool"));
  auto incoming = spool->create(kMeta);
  ASSERT_TRUE(incoming->append(bytes_of("image")));
  ASSERT_TRUE(incoming->close());
  EXPECT_THAT(*spool->list(), ElementsAre(incoming->id()));
  EXPECT_FALSE(incoming->append(bytes_of("more")));
  EXPECT_FALSE(incoming->close());
  incoming->discard();
  incoming->discard();
  EXPECT_THAT(*spool->list(), IsEmpty());
}

TEST(Spool, DiscardIsSyncedAndFaultsWhenThatFails) {
  const test::TemporaryFolder folder;
  const auto spool = open_spool(folder.path("spool"));
  auto incoming = spool->create(kMeta);
  ASSERT_TRUE(incoming && incoming->append(bytes_of("image")) && incoming->close());
  {
    const FailingCall failing(Call::fsync, EIO);
    incoming->discard();
    EXPECT_TRUE(failing.fired());
  }
  EXPECT_THAT(*spool->list(), IsEmpty());
  EXPECT_TRUE(spool->is_faulted()) << "names of other files may be lost with it";
}

TEST(Spool, ListTellsThatItFailed) {
  const test::TemporaryFolder folder;
  const auto spool = open_spool(folder.path("spool"));
  fs::rename(folder.path("spool"), folder.path("elsewhere"));
  const auto listed = spool->list();
  ASSERT_FALSE(listed);
  EXPECT_THAT(listed.error().message, HasSubstr(folder.path("spool")));
}

TEST(Spool, RemovesUnfinishedFilesAtOpenAndKeepsFinishedOnes) {
  const test::TemporaryFolder folder;
  StoredFile stored;
  {
    const auto spool = open_spool(folder.path("spool"));
    stored = *store(*spool, "image");
  }
  std::ofstream(folder.path("spool/20260101T000000.000000-00000000.part")) << "half";
  std::ofstream(folder.path("spool/notes.txt")) << "a person's";
  const auto spool = open_spool(folder.path("spool/"));
  EXPECT_THAT(names_in(folder.path("spool")),
              ::testing::UnorderedElementsAre(stored.id + ".dcm", "notes.txt"));
  EXPECT_THAT(*spool->list(), ElementsAre(stored.id));
  EXPECT_TRUE(spool->read(stored)->verify(stored.digest));
}

TEST(Spool, SecondGatewayIsRefusedAndToldWhoHasIt) {
  const test::TemporaryFolder folder;
  auto spool = open_spool(folder.path("spool"));
  const auto second = Spool::open(folder.path("spool"));
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::configuration);
  EXPECT_THAT(second.error().message, HasSubstr("process " + std::to_string(::getpid())));
  spool.reset();
  EXPECT_TRUE(Spool::open(folder.path("spool")));
}

TEST(Spool, UnusableFolderIsAConfigurationError) {
  const test::TemporaryFolder folder;
  std::ofstream(folder.path("file")) << "x";
  const auto spool = Spool::open(folder.path("file/spool"));
  ASSERT_FALSE(spool);
  EXPECT_EQ(spool.error().code, ErrorCode::configuration);
  EXPECT_THAT(spool.error().message, HasSubstr(folder.path("file")));
}

TEST(Spool, NoticesMissingShorterLongerAndChangedFiles) {
  const test::TemporaryFolder folder;
  const auto spool = open_spool(folder.path("spool"));
  const auto stored = store(*spool, std::string(1'000'000, 'i'));
  ASSERT_TRUE(stored);
  const std::string path = spool->path(stored->id);

  auto open_reader = spool->read(*stored);
  ASSERT_TRUE(open_reader);
  const auto size = fs::file_size(path);
  fs::resize_file(path, size - 1);
  EXPECT_EQ(spool->read(*stored).error().code, ErrorCode::corrupt);
  EXPECT_EQ(open_reader->verify(stored->digest).error().code, ErrorCode::corrupt);
  fs::resize_file(path, size + 1);
  EXPECT_EQ(spool->read(*stored).error().code, ErrorCode::corrupt);

  fs::resize_file(path, size);  // the last byte is another now
  const auto reader = spool->read(*stored);
  ASSERT_TRUE(reader);
  EXPECT_EQ(reader->verify(stored->digest).error().code, ErrorCode::corrupt);

  ASSERT_TRUE(spool->remove(stored->id));
  EXPECT_TRUE(spool->remove(stored->id)) << "missing is no error";
  EXPECT_EQ(spool->read(*stored).error().code, ErrorCode::corrupt);
}

TEST(Spool, NoIdLeavesTheFolder) {
  const test::TemporaryFolder folder;
  const auto spool = open_spool(folder.path("spool"));
  std::ofstream(folder.path("outside.dcm")) << "x";
  EXPECT_FALSE(spool->remove("../outside"));
  EXPECT_EQ(spool->read({"../outside", 0, 1, ""}).error().code, ErrorCode::corrupt);
  EXPECT_TRUE(fs::exists(folder.path("outside.dcm")));
}

// Every durable step in turn fails with EIO: the instance is refused, its file is
// gone, and nothing is accepted until the spool is opened again.
TEST(Spool, AnyIoErrorFaultsIt) {
  for (const Call call : {Call::write, Call::fdatasync, Call::renameat, Call::fsync}) {
    const test::TemporaryFolder folder;
    auto spool = open_spool(folder.path("spool"));
    const auto before = store(*spool, "good");
    ASSERT_TRUE(before && spool->sync_directory());
    {
      const FailingCall failing(call, EIO);
      const auto stored = store(*spool, std::string(400'000, 'x'));
      const auto synced = spool->sync_directory();
      EXPECT_FALSE(stored && synced);
      const Error error = stored ? synced.error() : stored.error();
      EXPECT_EQ(error.code, ErrorCode::transient);
      EXPECT_LE(error.message.size(), kLongestErrorComment);
      EXPECT_TRUE(failing.fired());
    }
    EXPECT_TRUE(spool->is_faulted());
    EXPECT_FALSE(spool->create(kMeta));
    EXPECT_FALSE(spool->sync_directory());
    EXPECT_TRUE(spool->read(*before)->verify(before->digest)) << "delivery goes on";
    if (call != Call::fsync) {
      EXPECT_THAT(*spool->list(), ElementsAre(before->id));
    }
    spool.reset();
    spool = open_spool(folder.path("spool"));
    EXPECT_TRUE(store(*spool, "good again"));
  }
}

TEST(Spool, FaultAlsoStopsWhatIsBeingReceived) {
  const test::TemporaryFolder folder;
  const auto spool = open_spool(folder.path("spool"));
  auto running = spool->create(kMeta);
  ASSERT_TRUE(running->append(bytes_of("image")));
  {
    const FailingCall failing(Call::fdatasync, EIO);
    EXPECT_FALSE(store(*spool, "x"));
  }
  EXPECT_FALSE(running->close());
  EXPECT_THAT(names_in(folder.path("spool")), IsEmpty());
}

TEST(Spool, FullDiskAtAnyStepFaultsNothing) {
  for (const Call call : {Call::write, Call::fdatasync, Call::renameat}) {
    const test::TemporaryFolder folder;
    const auto spool = open_spool(folder.path("spool"));
    for (const int error_number : {ENOSPC, EDQUOT}) {
      const FailingCall failing(call, error_number);
      const auto stored = store(*spool, "x");
      ASSERT_FALSE(stored);
      EXPECT_EQ(stored.error().code, ErrorCode::transient);
      EXPECT_THAT(stored.error().message, HasSubstr("disk full"));
      EXPECT_LE(stored.error().message.size(), kLongestErrorComment);
    }
    EXPECT_FALSE(spool->is_faulted());
    EXPECT_THAT(names_in(folder.path("spool")), IsEmpty());
    EXPECT_TRUE(store(*spool, "x"));
  }
}

TEST(Spool, RefusesWhenLessSpaceIsLeftThanIsToBeKept) {
  const test::TemporaryFolder folder;
  auto spool = Spool::open(folder.path("spool"), {.min_free_space = 1ULL << 60U});
  ASSERT_TRUE(spool);
  const auto refused = (*spool)->create(kMeta);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::transient);
  EXPECT_THAT(refused.error().message, HasSubstr("nearly full"));
  EXPECT_LE(refused.error().message.size(), kLongestErrorComment);
  EXPECT_FALSE((*spool)->is_faulted());
  EXPECT_THAT(names_in(folder.path("spool")), IsEmpty());
  spool->reset();
  spool = Spool::open(folder.path("spool"), {.min_free_space = 1});
  EXPECT_TRUE(store(**spool, "x"));
}

TEST(Spool, FullDiskRefusesAndTakesAgainWhenThereIsSpace) {
  const test::SmallDisk disk(512);
  if (!disk.is_mounted()) GTEST_SKIP() << disk.why_not();
  const auto spool = open_spool(disk.path("spool"));
  std::vector<StoredFile> stored;
  Result<StoredFile> last = store(*spool, std::string(50'000, 'x'));
  for (int i = 0; last && i < 100; ++i) {
    stored.push_back(*last);
    last = store(*spool, std::string(50'000, 'x'));
  }
  ASSERT_FALSE(last);
  EXPECT_EQ(last.error().code, ErrorCode::transient);
  EXPECT_FALSE(spool->is_faulted());
  EXPECT_EQ(names_in(disk.path("spool")).size(), stored.size()) << "no .part is left";
  for (const StoredFile& file : stored) EXPECT_TRUE(spool->read(file)->verify(file.digest));
  ASSERT_TRUE(spool->remove(stored.front().id));
  EXPECT_TRUE(store(*spool, std::string(50'000, 'y')));
}

TEST(Spool, ConcurrentReceiversDoNotDisturbEachOther) {
  const test::TemporaryFolder folder;
  const auto spool = open_spool(folder.path("spool"));
  std::vector<std::thread> threads;
  threads.reserve(8);
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&spool, t] {
      for (int i = 0; i < 20; ++i) {
        const std::string data_set(static_cast<std::size_t>(5'000 * t + i),
                                   static_cast<char>('a' + t));
        const auto stored = store(*spool, data_set);
        ASSERT_TRUE(stored && spool->sync_directory());
        EXPECT_TRUE(spool->read(*stored)->verify(stored->digest));
        if (i % 2 == 0) {
          EXPECT_TRUE(spool->remove(stored->id));
        }
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(spool->list()->size(), 80U);
}

// A child writes and is killed: what it said was closed is whole, what was not is gone.
TEST(Spool, KilledGatewayLeavesOnlyWholeFiles) {
  const test::TemporaryFolder folder;
  int said[2] = {-1, -1};
  ASSERT_EQ(::pipe(said), 0);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    auto spool = Spool::open(folder.path("spool"));
    while (spool) {
      const auto stored = store(**spool, std::string(300'000, 'k'));
      if (!stored || !(*spool)->sync_directory()) break;
      const std::string line = stored->id + " " + stored->digest + "\n";
      if (::write(said[1], line.data(), line.size()) < 0) break;
    }
    ::_exit(1);
  }
  ::close(said[1]);
  std::string text;
  char buffer[4096];
  while (std::count(text.begin(), text.end(), '\n') < 50) {
    const ssize_t got = ::read(said[0], buffer, sizeof buffer);
    ASSERT_GT(got, 0);
    text.append(buffer, static_cast<std::size_t>(got));
  }
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  for (ssize_t got = 1; got > 0;) {
    got = ::read(said[0], buffer, sizeof buffer);
    if (got > 0) text.append(buffer, static_cast<std::size_t>(got));
  }
  ::close(said[0]);

  const auto spool = open_spool(folder.path("spool"));
  std::istringstream lines(text);
  std::string id;
  std::string digest;
  while (lines >> id >> digest) {
    const auto size = fs::file_size(spool->path(id));
    const auto reader = spool->read({id, size - 300'000, 300'000, digest});
    ASSERT_TRUE(reader);
    EXPECT_TRUE(reader->verify(digest));
  }
  for (const std::string& name : names_in(folder.path("spool"))) {
    EXPECT_THAT(name, ::testing::EndsWith(".dcm"));
  }
}

}  // namespace
}  // namespace sluice
