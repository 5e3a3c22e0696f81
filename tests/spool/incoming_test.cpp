#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gateway/spool/spool.h"
#include "tests/support/temporary_folder.h"

namespace sluice {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

const FileMeta kSomeMeta{"1.2.840.10008.5.1.4.1.1.2", "1.2.3.4", "1.2.840.10008.1.2.1", "CT1"};

std::span<const std::byte> as_bytes(const std::string& text) {
  return std::as_bytes(std::span(text));
}

std::unique_ptr<Spool> open_spool(const test::TemporaryFolder& folder) {
  auto spool = Spool::open(folder.path("spool"));
  if (!spool) throw std::runtime_error(spool.error().message);
  return std::move(*spool);
}

std::vector<std::string> names_in(const test::TemporaryFolder& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path("spool"))) {
    names.push_back(entry.path().filename().string());
  }
  return names;
}

TEST(Incoming, RemovesItsFileWhenItIsNotClosed) {
  const test::TemporaryFolder folder;
  const auto spool = open_spool(folder);
  {
    auto incoming = spool->create(kSomeMeta);
    ASSERT_TRUE(incoming);
    ASSERT_TRUE(incoming->append(as_bytes(std::string(kInMemory, 'x'))));
    Incoming moved = std::move(*incoming);
    EXPECT_THAT(names_in(folder), ElementsAre(moved.id() + ".part"));
    EXPECT_FALSE(moved.in_memory());
  }
  EXPECT_THAT(names_in(folder), IsEmpty());
}

TEST(Incoming, StaysInMemoryUntilItIsClosedWhenItIsSmall) {
  const test::TemporaryFolder folder;
  const auto spool = open_spool(folder);
  for (const std::size_t size : {std::size_t{0}, std::size_t{13}, std::size_t{700'000}}) {
    const std::string image(size, 'i');
    auto incoming = spool->create(kSomeMeta);
    ASSERT_TRUE(incoming && incoming->append(as_bytes(image)));
    EXPECT_THAT(names_in(folder), IsEmpty());
    const auto in_memory = incoming->in_memory();
    ASSERT_TRUE(in_memory);
    EXPECT_TRUE(std::ranges::equal(*in_memory, as_bytes(image)));
    const StoredFile before = incoming->as_received();
    const auto stored = incoming->close();
    ASSERT_TRUE(stored);
    EXPECT_FALSE(incoming->in_memory());
    EXPECT_EQ(stored->digest, before.digest);
    EXPECT_EQ(stored->data_set_length, size);
    EXPECT_TRUE(spool->read(*stored)->verify(before.digest));
    incoming->discard();
  }
}

TEST(Incoming, IsWrittenWhileItComesWhenItIsToBeAFile) {
  const test::TemporaryFolder folder;
  const auto spool = open_spool(folder);
  std::string image(500'000, 'i');
  for (std::size_t n = 0; n < image.size(); ++n) image[n] = static_cast<char>(n >> 10U);
  auto incoming = spool->create(kSomeMeta);
  ASSERT_TRUE(incoming);
  incoming->begin_file();
  constexpr std::size_t kPiece = 60'000;
  for (std::size_t at = 0; at < image.size(); at += kPiece) {
    ASSERT_TRUE(incoming->append(as_bytes(image.substr(at, kPiece))));
    EXPECT_EQ(incoming->in_memory().has_value(), at + kPiece <= kFirstPart) << at;
  }
  EXPECT_THAT(names_in(folder), ElementsAre(incoming->id() + ".part"));
  const auto stored = incoming->close();
  ASSERT_TRUE(stored);
  const auto reader = spool->read(*stored);
  ASSERT_TRUE(reader && reader->verify(stored->digest));
  std::string read(image.size(), '\0');
  EXPECT_EQ(reader->read(0, std::as_writable_bytes(std::span(read))), image.size());
  EXPECT_TRUE(read == image);
}

TEST(SpoolReader, SendsWhatItHasChecked) {
  const test::TemporaryFolder folder;
  const auto spool = open_spool(folder);
  const std::string image(300'000, 'i');
  auto incoming = spool->create(kSomeMeta);
  ASSERT_TRUE(incoming && incoming->append(as_bytes(image)));
  const auto stored = incoming->close();
  ASSERT_TRUE(stored);
  auto reader = spool->read(*stored);
  ASSERT_TRUE(reader && reader->load(spool->buffers()));
  std::fstream(spool->path(stored->id), std::ios::in | std::ios::out).seekp(1000) << "spoilt";
  EXPECT_TRUE(reader->verify(stored->digest)) << "it was read before";
  std::string read(image.size(), '\0');
  EXPECT_EQ(reader->read(0, std::as_writable_bytes(std::span(read))), image.size());
  EXPECT_TRUE(read == image);
  auto later = spool->read(*stored);
  ASSERT_TRUE(later && later->load(spool->buffers()));
  EXPECT_EQ(later->verify(stored->digest).error().code, ErrorCode::corrupt);
}

TEST(Incoming, GivesItsMemoryBack) {
  const test::TemporaryFolder folder;
  const auto spool = open_spool(folder);
  const std::string image(100'000, 'i');
  const void* first = nullptr;
  for (int round = 0; round < 3; ++round) {
    auto incoming = spool->create(kSomeMeta);
    ASSERT_TRUE(incoming && incoming->append(as_bytes(image)));
    const void* const place = incoming->in_memory()->data();
    if (first == nullptr) first = place;
    EXPECT_EQ(place, first) << "new memory costs a page fault for every 4 KiB";
  }
}

}  // namespace
}  // namespace sluice
