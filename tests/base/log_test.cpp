#include "gateway/base/log.h"

#include <gtest/gtest.h>

namespace sluice::log {
namespace {

TEST(Log, EscapesControlCharactersSoThatTheNetworkCannotForgeALine) {
  EXPECT_EQ(escape("CT1\r\n2026 error \x1b[31m"), R"(CT1\r\n2026 error \x1b[31m)");
  EXPECT_EQ(escape("a\\b\xE9"), R"(a\\b\xe9)");
  EXPECT_EQ(escape("CT_1"), "CT_1");
}

TEST(Log, WritesFieldsInHumanForm) {
  configure(Level::info, Format::human);
  testing::internal::CaptureStderr();
  info("stored", {{"id", "a1"}, {"bytes", 12}, {"calling_ae_title", "CT 1\n"}});
  debug("never", {});
  const std::string line = testing::internal::GetCapturedStderr();
  EXPECT_NE(line.find(R"(stored id=a1 bytes=12 calling_ae_title="CT 1\n")"), std::string::npos)
      << line;
  EXPECT_EQ(line.find("never"), std::string::npos);
}

TEST(Log, WritesOneJsonObjectALine) {
  configure(Level::info, Format::json);
  testing::internal::CaptureStderr();
  warning("refused", {{"status", "A900"}, {"text", "a\"\n\xE9"}, {"count", 3}});
  const std::string line = testing::internal::GetCapturedStderr();
  configure(Level::info, Format::human);
  EXPECT_EQ(line.find("{\"time\":\""), 0U) << line;
  EXPECT_NE(line.find(R"("message":"refused","status":"A900","text":"a\"\u000a\u00e9","count":3})"),
            std::string::npos)
      << line;
}

}  // namespace
}  // namespace sluice::log
