#include "gateway/net/command_set.h"

#include <string>

#include <gtest/gtest.h>

#include "tests/support/raw_peer.h"

namespace sluice::net {
namespace {

using namespace sluice::test;

Result<CommandSet> parse(const std::string& bytes) {
  return CommandSet::parse(std::as_bytes(std::span(bytes)));
}

std::string text_of(const std::vector<std::byte>& bytes) {
  std::string text;
  for (const std::byte byte : bytes) text.push_back(std::to_integer<char>(byte));
  return text;
}

TEST(CommandSet, ReadsAStoreRequest) {
  const auto set = parse(store_request(kCtStorage, "1.2.3", 7));
  ASSERT_TRUE(set);
  EXPECT_EQ(set->number(command::kCommandField), command::kStoreRequest);
  EXPECT_EQ(set->number(command::kMessageId), 7);
  EXPECT_EQ(set->text(command::kAffectedSopClassUid), kCtStorage);
  EXPECT_EQ(set->text(command::kAffectedSopInstanceUid), "1.2.3");
  EXPECT_TRUE(set->has_data_set());
}

TEST(CommandSet, EncodesInTagOrderWithGroupLength) {
  CommandSet set;
  set.set_uid(command::kAffectedSopInstanceUid, "1.2.3");
  set.set_number(command::kCommandField, 0x8001);
  set.set_text(command::kErrorComment, "odd");
  set.set_number(command::kStatus, 0xA700);
  EXPECT_EQ(text_of(set.encode()),
            command_set(element(0x0100, little16(0x8001)) + element(0x0900, little16(0xA700)) +
                        element(0x0902, "odd", ' ') + element(0x1000, "1.2.3")));
}

TEST(CommandSet, RefusesWhatDoesNotAddUp) {
  EXPECT_FALSE(parse("short"));
  EXPECT_FALSE(parse(element(0x0100, "ab").substr(0, 9)));
  EXPECT_FALSE(parse(little16(0) + little16(0x100) + little32(0xFFFFFFFF)));
  EXPECT_FALSE(parse(little16(8) + little16(0x16) + little32(0)));
  EXPECT_FALSE(parse(element(0x0100, "ab") + element(0x0100, "ab")));
}

TEST(CommandSet, GivesNoNumberOfAnotherLength) {
  const auto set = parse(element(0x0100, "abcd") + element(0x0110, ""));
  ASSERT_TRUE(set);
  EXPECT_FALSE(set->number(command::kCommandField));
  EXPECT_FALSE(set->number(command::kMessageId));
  EXPECT_FALSE(set->has_data_set());
}

TEST(CommandSet, CommentIsPlainAsciiOf64Characters) {
  EXPECT_EQ(comment_text("a\\b\nc\xC3\xA4"), "a?b?c??");
  EXPECT_EQ(comment_text(std::string(100, 'x')).size(), 64U);
}

}  // namespace
}  // namespace sluice::net
