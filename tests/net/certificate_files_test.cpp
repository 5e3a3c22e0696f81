// What is wrong with the files of a TLS table is told, all of it, at its key.
#include "gateway/net/certificate_files.h"

#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gateway/net/tls.h"
#include "tests/support/certificates.h"
#include "tests/support/temporary_folder.h"

namespace sluice::net {
namespace {

using namespace sluice::test;
using std::chrono::hours;
using std::chrono::system_clock;
using testing::HasSubstr;
using testing::IsEmpty;
using ProblemKind = CertificateProblem::Kind;

class CertificateFilesTest : public testing::Test {
 protected:
  CertificateFilesTest() : authority_(folder_.path("")) {
    use(authority_.issue("gateway"));
    tls_.ca = authority_.file();
  }
  void use(const Issued& issued) {
    tls_.certificate = issued.certificate;
    tls_.key = issued.key;
  }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(folder_.path(name)) << text;
  }
  // There is one problem, of this kind and key.
  void expect_problem(ProblemKind kind, const std::string& key, const std::string& text,
                      TlsSide side = TlsSide::listener) const {
    const auto problems = find_certificate_problems(tls_, side, system_clock::now());
    ASSERT_EQ(problems.size(), 1U);
    EXPECT_EQ(problems[0].kind, kind) << problems[0].message;
    EXPECT_EQ(problems[0].key, key);
    EXPECT_THAT(problems[0].message, HasSubstr(text));
  }

  TemporaryFolder folder_;
  Authority authority_;
  config::Tls tls_;
};

TEST_F(CertificateFilesTest, AreGoodWhenTheyAre) {
  tls_.crl = authority_.revoke({});
  EXPECT_THAT(find_certificate_problems(tls_, TlsSide::listener, system_clock::now()), IsEmpty());
}

TEST_F(CertificateFilesTest, AreAllNamedWhenTheyAreMissing) {
  tls_ = {.certificate = folder_.path("a"),
          .key = folder_.path("b"),
          .ca = folder_.path("c"),
          .crl = folder_.path("d")};
  const auto problems = find_certificate_problems(tls_, TlsSide::listener, system_clock::now());
  ASSERT_EQ(problems.size(), 4U);
  for (const CertificateProblem& problem : problems) {
    EXPECT_EQ(problem.kind, ProblemKind::mistake);
    EXPECT_THAT(problem.message, HasSubstr("No such file"));
  }
}

TEST_F(CertificateFilesTest, MustBePem) {
  write("text", "no PEM at all\n");
  tls_ = {.certificate = folder_.path("text"),
          .key = folder_.path("text"),
          .ca = folder_.path("text"),
          .crl = folder_.path("text")};
  std::filesystem::permissions(tls_.key, std::filesystem::perms::owner_all);
  const auto problems = find_certificate_problems(tls_, TlsSide::listener, system_clock::now());
  ASSERT_EQ(problems.size(), 4U);
  for (const CertificateProblem& problem : problems) {
    EXPECT_THAT(problem.message, HasSubstr("in PEM form (-----BEGIN "));
  }
}

TEST_F(CertificateFilesTest, MustBeWhole) {
  std::ofstream(tls_.certificate, std::ios::app)
      << "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
  expect_problem(ProblemKind::mistake, "certificate", "certificate 2 in it is broken");
}

TEST_F(CertificateFilesTest, MustNotBeAFolder) {
  tls_.ca = folder_.path("");
  expect_problem(ProblemKind::mistake, "ca", "it is a folder");
}

TEST_F(CertificateFilesTest, TellAKeyThatBelongsToAnotherCertificate) {
  tls_.key = authority_.issue("other").key;
  expect_problem(ProblemKind::mistake, "key", "does not belong to the first certificate");
}

TEST_F(CertificateFilesTest, TellAKeyThatEverybodyCanRead) {
  std::filesystem::permissions(tls_.key, std::filesystem::perms(0644));
  expect_problem(ProblemKind::mistake, "key", "chmod o-rw");
}

TEST_F(CertificateFilesTest, TellAKeyWithAPassphraseInsteadOfAskingForIt) {
  EVP_PKEY* const key = EVP_EC_gen("P-256");
  BIO* const out = BIO_new_file(tls_.key.c_str(), "w");
  unsigned char secret[] = "secret";
  PEM_write_bio_PrivateKey(out, key, EVP_aes_128_cbc(), secret, 6, nullptr, nullptr);
  BIO_free(out);
  EVP_PKEY_free(key);
  expect_problem(ProblemKind::mistake, "key", "protected by a passphrase");
}

TEST_F(CertificateFilesTest, TellAKeyThatIsTooShort) {
  use(authority_.issue("short", {.rsa_bits = 1024}));
  expect_problem(ProblemKind::mistake, "certificate", "key too small");
}

TEST_F(CertificateFilesTest, TellWhatExpiredAndWhatIsNotYetValid) {
  use(authority_.issue("old", {.ends = hours(-72)}));
  expect_problem(ProblemKind::outdated, "certificate", "'CN=gateway' expired 3 days ago");
  use(authority_.issue("early", {.begins = hours(80)}));
  expect_problem(ProblemKind::outdated, "certificate", "not valid before 3 days from now");
}

TEST_F(CertificateFilesTest, WarnThirtyDaysAhead) {
  use(authority_.issue("soon", {.ends = hours(29 * 24 + 1)}));
  expect_problem(ProblemKind::warning, "certificate", "expires in 29 days");
  use(authority_.issue("later", {.ends = hours(31 * 24)}));
  EXPECT_THAT(find_certificate_problems(tls_, TlsSide::listener, system_clock::now()), IsEmpty());
}

TEST_F(CertificateFilesTest, TellACrlThatIsOver) {
  tls_.crl = authority_.revoke({}, hours(-3));
  expect_problem(ProblemKind::outdated, "crl", "expired 3 hours ago");
}

TEST_F(CertificateFilesTest, WarnOfACertificateForTheOtherSide) {
  use(authority_.issue("client", {.extended_key_usage = "clientAuth"}));
  expect_problem(ProblemKind::warning, "certificate", "not made for a server");
  EXPECT_THAT(find_certificate_problems(tls_, TlsSide::destination, system_clock::now()),
              IsEmpty());
}

TEST_F(CertificateFilesTest, KnowWhenTheyEnd) {
  tls_.crl = authority_.revoke({}, hours(5));
  const auto now = system_clock::now();
  const auto files = read_certificate_files(tls_, TlsSide::listener, now);
  ASSERT_EQ(files.expiries.size(), 2U);
  EXPECT_EQ(files.expiries[0].subject, "CN=gateway");
  EXPECT_NEAR(std::chrono::duration<double>(files.expiries[0].at - now).count(), 365.0 * 24 * 3600,
              10);
  EXPECT_EQ(files.expiries[1].key, "crl");
  EXPECT_NEAR(std::chrono::duration<double>(files.expiries[1].at - now).count(), 5.0 * 3600, 10);
}

TEST_F(CertificateFilesTest, OpenAsAContextOnlyWithoutMistake) {
  EXPECT_TRUE(TlsContext::open(tls_, TlsSide::listener));
  tls_.ca = folder_.path("missing");
  const auto opened = TlsContext::open(tls_, TlsSide::listener);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::configuration);
  EXPECT_THAT(opened.error().message, HasSubstr("ca " + tls_.ca + ": cannot be read"));
}

}  // namespace
}  // namespace sluice::net
