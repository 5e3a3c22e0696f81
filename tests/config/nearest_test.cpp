#include "gateway/config/nearest.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace sluice::config {
namespace {

const std::vector<std::string> kKeys{"port", "address", "ae_titles", "calling_ae_titles"};

TEST(Nearest, FindsLettersLeftOutAddedReplacedAndSwapped) {
  EXPECT_EQ(nearest("prt", kKeys), "port");
  EXPECT_EQ(nearest("porrt", kKeys), "port");
  EXPECT_EQ(nearest("pord", kKeys), "port");
  EXPECT_EQ(nearest("prot", kKeys), "port");
  EXPECT_EQ(nearest("Address", kKeys), "address");
  EXPECT_EQ(nearest("ae_title", kKeys), "ae_titles");
  EXPECT_EQ(nearest("calling_aetitles", kKeys), "calling_ae_titles");
}

TEST(Nearest, KeepsSilentWhenNothingIsNear) {
  EXPECT_EQ(nearest("colour", kKeys), std::nullopt);
  EXPECT_EQ(nearest("", kKeys), std::nullopt);
  EXPECT_EQ(nearest("port", {}), std::nullopt);
  EXPECT_EQ(nearest(std::string(1'000'000, 'p'), kKeys), std::nullopt);
}

TEST(Nearest, SuggestsOneNameOrTellsAll) {
  EXPECT_EQ(suggestion("prot", kKeys), "; did you mean 'port'?");
  EXPECT_EQ(suggestion("colour", kKeys),
            "; known here: port, address, ae_titles, calling_ae_titles");
  EXPECT_EQ(suggestion("colour", {}), "");
  const std::vector<std::string> one_forgotten = {"", "pacs"};
  EXPECT_EQ(suggestion("archive", one_forgotten), "; known here: pacs");
}

}  // namespace
}  // namespace sluice::config
