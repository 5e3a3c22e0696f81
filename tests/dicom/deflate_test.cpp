#include "gateway/dicom/deflate.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "tests/dicom/data_set_bytes.h"
#include "tests/support/fixtures.h"

namespace sluice::dicom {
namespace {

using test::as_bytes;

constexpr std::uint64_t kMuch = 1ULL << 40U;

std::string deflated(const std::string& plain) {
  Deflater deflater;
  std::string out;
  EXPECT_TRUE(deflater.deflate(as_bytes(plain), true, out));
  return out;
}

std::string noise(std::size_t size) {
  std::mt19937 random(7);  // NOLINT(cert-msc51-cpp): the same in every run
  std::string text(size, '\0');
  std::ranges::generate(text, [&] { return static_cast<char>(random() & 0xFFU); });
  return text;
}

TEST(Inflater, GivesBackWhatWasDeflated) {
  for (const std::string& plain :
       {std::string(), std::string("a"), std::string(300'000, 'x'), noise(200'000)}) {
    const std::string stream = deflated(plain);
    EXPECT_EQ(stream.size() % 2, 0U);
    Inflater inflater(kMuch, 1100);
    std::string out;
    ASSERT_TRUE(inflater.inflate(as_bytes(stream), out));
    EXPECT_TRUE(inflater.finished());
    EXPECT_EQ(out, plain);
  }
}

TEST(Inflater, TakesPiecesOfAnySizeAndLeavesWhatWasTaken) {
  const std::string plain = noise(10'000) + std::string(100'000, 'y');
  const std::string stream = deflated(plain);
  for (const std::size_t size : {1U, 2U, 7U, 1000U}) {
    Inflater inflater(kMuch, 1100);
    std::string all;
    std::string out;
    for (std::size_t at = 0; at < stream.size(); at += size) {
      EXPECT_FALSE(inflater.finished() && at + 2 < stream.size());
      ASSERT_TRUE(
          inflater.inflate(as_bytes(stream).subspan(at, std::min(size, stream.size() - at)), out));
      all += out;
      out.clear();
    }
    EXPECT_TRUE(inflater.finished());
    EXPECT_EQ(all, plain);
  }
}

TEST(Inflater, GivesASinkPiecesOfAtMost64KiB) {
  const std::string stream = deflated(std::string(500'000, 'x'));
  Inflater inflater(kMuch, 1100);
  std::size_t total = 0;
  std::size_t longest = 0;
  ASSERT_TRUE(
      inflater.inflate(as_bytes(stream), [&](std::span<const std::byte> bytes) -> Result<void> {
        total += bytes.size();
        longest = std::max(longest, bytes.size());
        return {};
      }));
  EXPECT_EQ(total, 500'000U);
  EXPECT_LE(longest, 64UL * 1024);
}

TEST(Inflater, HandsOnTheErrorOfTheSinkAndStaysFailed) {
  const std::string stream = deflated("something");
  Inflater inflater(kMuch, 1100);
  const auto refused =
      inflater.inflate(as_bytes(stream), [](std::span<const std::byte>) -> Result<void> {
        return failure(ErrorCode::transient, "disk full");
      });
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::transient);
  EXPECT_EQ(refused.error().message, "disk full");
  std::string out;
  EXPECT_FALSE(inflater.inflate(as_bytes(stream), out));
}

TEST(Inflater, GivesUpAtTheLimit) {
  const std::string stream = deflated(std::string(100'000, 'x'));
  std::string out;
  EXPECT_TRUE(Inflater(100'000, 1100).inflate(as_bytes(stream), out));
  out.clear();
  Inflater inflater(99'999, 1100);
  const auto refused = inflater.inflate(as_bytes(stream), out);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::corrupt);
  EXPECT_LE(out.size(), 99'999U);
  EXPECT_FALSE(inflater.inflate(as_bytes(stream), out));
}

TEST(Inflater, JudgesTheRatioFromAMebibyteOn) {
  std::string out;
  EXPECT_TRUE(Inflater(kMuch, 2).inflate(as_bytes(deflated(std::string(1U << 20U, 'x'))), out));
  EXPECT_FALSE(
      Inflater(kMuch, 2).inflate(as_bytes(deflated(std::string((1U << 20U) + 1, 'x'))), out));
  EXPECT_TRUE(Inflater(kMuch, 2).inflate(as_bytes(deflated(noise(3U << 20U))), out));
  EXPECT_TRUE(Inflater(kMuch, 1100).inflate(as_bytes(deflated(std::string(16U << 20U, 'x'))), out));
}

TEST(Inflater, IsNotFinishedByACutStream) {
  const std::string stream = deflated(noise(1000));
  Inflater inflater(kMuch, 1100);
  std::string out;
  ASSERT_TRUE(inflater.inflate(as_bytes(stream).first(stream.size() / 2), out));
  EXPECT_FALSE(inflater.finished());
}

TEST(Inflater, RefusesABrokenStream) {
  Inflater inflater(kMuch, 1100);
  std::string out;
  const auto refused = inflater.inflate(as_bytes(std::string(10, '\xFF')), out);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::corrupt);
  EXPECT_FALSE(inflater.inflate(as_bytes(deflated("x")), out));
}

// Behind "Sluice": CRC-32 0x0FF54C04 as Python's zlib.crc32 tells, and six bytes.
TEST(Inflater, TakesPaddingAndTheTrailerOfGzipBehindTheStream) {
  std::string stream;
  {
    Deflater deflater;
    ASSERT_TRUE(deflater.deflate(as_bytes("Sluice"), true, stream));
    ASSERT_EQ(stream.size(), 8U) << "needs no padding of its own";
  }
  const std::string trailer("CRCC\x06\0\0\0", 8);
  std::string right = trailer;
  const std::uint32_t checksum = 0x0FF54C04U;
  for (unsigned i = 0; i < 4; ++i) right[i] = static_cast<char>(checksum >> (8U * i));
  const auto takes = [&](const std::string& behind) {
    std::string out;
    Inflater whole(kMuch, 1100);
    const bool taken = whole.inflate(as_bytes(stream + behind), out).has_value();
    EXPECT_EQ(out, "Sluice");
    Inflater single(kMuch, 1100);
    bool taken_singly = true;
    for (const char byte : stream + behind) {
      taken_singly = taken_singly && single.inflate(as_bytes({&byte, 1}), out).has_value();
    }
    EXPECT_EQ(taken, taken_singly);
    return taken;
  };
  EXPECT_TRUE(takes(""));
  EXPECT_TRUE(takes(std::string(1, '\0')));
  EXPECT_TRUE(takes(std::string(100, '\0')));
  EXPECT_TRUE(takes(right));
  EXPECT_TRUE(takes(right + std::string(3, '\0')));
  EXPECT_FALSE(takes(right + "x"));
  EXPECT_FALSE(takes(trailer));
  EXPECT_FALSE(takes("x"));
  EXPECT_FALSE(takes(std::string(1, '\0') + right));
}

TEST(Inflater, MayBeMoved) {
  const std::string stream = deflated("some text");
  Inflater first(kMuch, 1100);
  std::string out;
  ASSERT_TRUE(first.inflate(as_bytes(stream).first(3), out));
  Inflater second = std::move(first);
  ASSERT_TRUE(second.inflate(as_bytes(stream).subspan(3), out));
  EXPECT_EQ(out, "some text");
}

TEST(Deflater, TakesPieces) {
  Deflater deflater;
  std::string stream;
  const std::string plain = noise(100'000);
  for (std::size_t at = 0; at < plain.size(); at += 1000) {
    ASSERT_TRUE(deflater.deflate(as_bytes(plain).subspan(at, 1000), false, stream));
  }
  ASSERT_TRUE(deflater.deflate({}, true, stream));
  EXPECT_EQ(stream.size() % 2, 0U);
  std::string out;
  ASSERT_TRUE(Inflater(kMuch, 1100).inflate(as_bytes(stream), out));
  EXPECT_EQ(out, plain);
}

TEST(Deflater, PadsToEvenLength) {
  bool padded = false;
  for (std::size_t size = 0; size < 40; ++size) {
    const std::string stream = deflated(noise(size));
    EXPECT_EQ(stream.size() % 2, 0U) << size;
    padded = padded || stream.back() == '\0';
  }
  EXPECT_TRUE(padded);
}

TEST(Deflater, IsClosedByTheLastPiece) {
  Deflater deflater;
  std::string out;
  ASSERT_TRUE(deflater.deflate(as_bytes("x"), true, out));
  const auto again = deflater.deflate(as_bytes("y"), true, out);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, ErrorCode::permanent);
}

}  // namespace
}  // namespace sluice::dicom
