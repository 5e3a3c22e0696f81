// `sluice check --connect`: what it tells of destinations that work, and of those that do not.
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gmock/gmock.h>

#include "tests/e2e/dcmtk_tools.h"
#include "tests/e2e/gateway_process.h"
#include "tests/support/certificates.h"
#include "tests/support/raw_peer.h"

namespace sluice::test {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

struct Target {
  std::string name;
  std::string address;
  std::string more = {};  // lines
};

class Connect : public testing::Test {
 protected:
  [[nodiscard]] Finished check(const std::vector<Target>& targets,
                               const std::vector<std::string>& options = {}) const {
    std::ofstream file(config_);
    file << "[[listener]]\nport = 11112\n";
    std::string names;
    for (const Target& each : targets) {
      file << "[[destination]]\nname = \"" << each.name << "\"\naddress = \"" << each.address
           << "\"\n"
           << each.more << "\n";
      names += (names.empty() ? "\"" : ", \"") + each.name + "\"";
    }
    file << "[[route]]\ndestinations = [" << names << "]\n";
    file.close();
    std::vector<std::string> arguments = {SLUICE_PROGRAM, "check", "--connect"};
    arguments.insert(arguments.end(), options.begin(), options.end());
    arguments.push_back(config_);
    return run_program(std::move(arguments));
  }

  TemporaryFolder folder_;
  std::string config_ = folder_.path("sluice.toml");
};

std::string address_of_port(std::uint16_t port) {
  return "dicom://PACS@127.0.0.1:" + std::to_string(port);
}

// Plays one part for each connection, in turn.
class ScriptedPeer {
 public:
  using Part = std::function<void(RawPeer&)>;
  explicit ScriptedPeer(std::vector<Part> parts)
      : thread_([this, parts = std::move(parts)] {
          for (const Part& part : parts) {
            RawPeer peer = listener_.accept();
            part(peer);
          }
        }) {}
  ~ScriptedPeer() {
    ::shutdown(listener_.descriptor(), SHUT_RDWR);  // nobody else will come
    thread_.join();
  }
  ScriptedPeer(const ScriptedPeer&) = delete;
  ScriptedPeer& operator=(const ScriptedPeer&) = delete;
  [[nodiscard]] std::string address() const { return address_of_port(listener_.port()); }

 private:
  RawListener listener_;
  std::thread thread_;
};

ScriptedPeer::Part rejects(int result, int source, int reason) {
  return [=](RawPeer& peer) {
    EXPECT_EQ(peer.receive_pdu().substr(0, 1), "\1");
    peer.send(reject_pdu(result, source, reason));
    EXPECT_TRUE(peer.is_closed());
  };
}

void answer_release(const RawPeer& peer) {
  EXPECT_EQ(peer.receive_pdu().substr(0, 1), "\5") << "no A-RELEASE-RQ";
  peer.send(release_response());
}

ScriptedPeer::Part answers_echo(std::size_t status) {
  return [=](RawPeer& peer) {
    EXPECT_EQ(peer.receive_pdu().substr(0, 1), "\1");
    peer.send(associate_accept({{1, kImplicit}}, 8192));
    const std::string request = peer.receive_pdu();
    peer.send(data_pdu(
        pdv(1, true, true,
            command_set(element(0x0002, kVerification) + element(0x0100, little16(0x8030)) +
                        element(0x0120, little16(message_id_of(request))) +
                        element(0x0800, little16(0x0101)) + element(0x0900, little16(status))))));
    answer_release(peer);
  };
}

TEST_F(Connect, TellsWhatStorescpAcceptsAndSendsNothing) {
  StorescpProcess pacs(folder_.path("pacs"), {"+xi"});
  pacs.start();
  const Finished checked = check({{"pacs", pacs.address()}}, {"--json"});
  EXPECT_EQ(checked.exit_code, 0) << checked.out << checked.err;
  const nlohmann::json told = checked.json();
  EXPECT_EQ(told.at("valid"), true);
  const nlohmann::json& one = told.at("destinations").at(0);
  EXPECT_EQ(one.at("works"), true);
  EXPECT_EQ(one.at("address"), pacs.address());
  EXPECT_THAT(one.at("peer").at("implementation_version_name").get<std::string>(),
              HasSubstr("OFFIS_DCMTK"));
  EXPECT_EQ(one.at("peer").at("max_pdu"), 131072);
  EXPECT_GE(one.at("peer").at("echo_ms").get<double>(), 0);
  const nlohmann::json& storage = one.at("storage");
  EXPECT_EQ(storage.at("complete"), true);
  EXPECT_GT(storage.at("accepted").size(), 100U);
  EXPECT_GT(storage.at("proposed_transfer_syntax_uids").size(), 30U);
  for (const auto& each : storage.at("accepted")) {
    EXPECT_EQ(each.at("transfer_syntax_uids"), nlohmann::json::array({kImplicit})) << each;
  }
  EXPECT_THAT(pacs.files(), IsEmpty());

  const Finished for_people = check({{"pacs", pacs.address()}});
  EXPECT_EQ(for_people.exit_code, 0);
  EXPECT_THAT(for_people.err, IsEmpty());
  EXPECT_THAT(for_people.out,
              AllOf(HasSubstr("pacs: " + pacs.address() + ": works\n"),
                    HasSubstr(" storage SOP classes: Little Endian Implicit\n"),
                    ContainsRegex("association in [0-9.]+ ms, C-ECHO in [0-9.]+ ms")));
}

// A PACS that takes CT as two syntaxes, MR as one, and nothing else; one association at a time.
TEST_F(Connect, GroupsSopClassesByTheirTransferSyntaxes) {
  const std::string profile = folder_.path("profile.cfg");
  std::ofstream(profile) << "[[TransferSyntaxes]]\n[Two]\n"
                            "TransferSyntax1 = LittleEndianExplicit\n"
                            "TransferSyntax2 = JPEG2000\n"
                            "[One]\nTransferSyntax1 = LittleEndianImplicit\n"
                            "[[PresentationContexts]]\n[Some]\n"
                            "PresentationContext1 = VerificationSOPClass\\One\n"
                            "PresentationContext2 = CTImageStorage\\Two\n"
                            "PresentationContext3 = MRImageStorage\\One\n"
                            "[[Profiles]]\n[Few]\nPresentationContexts = Some\n";
  const std::uint16_t port = quiet_port();
  const Process pacs({"storescp", "-od", folder_.path(""), "-aet", "PACS", "-xf", profile, "Few",
                      std::to_string(port)});
  ASSERT_TRUE(wait_for_port(port)) << pacs.output();
  const std::vector<Target> target = {{"pacs", address_of_port(port)}};
  const nlohmann::json told = check(target, {"--json"}).json();
  const nlohmann::json& accepted = told.at("destinations").at(0).at("storage").at("accepted");
  ASSERT_EQ(accepted.size(), 2U) << told;
  EXPECT_EQ(accepted.at(0).at("name"), "CTImageStorage");
  EXPECT_EQ(accepted.at(0).at("sop_class_uid"), kCtStorage);
  EXPECT_EQ(accepted.at(0).at("transfer_syntax_uids"),
            nlohmann::json::array({kExplicit, "1.2.840.10008.1.2.4.91"}));
  EXPECT_EQ(accepted.at(1).at("transfer_syntax_uids"), nlohmann::json::array({kImplicit}));

  const Finished for_people = check(target);
  EXPECT_THAT(for_people.out,
              AllOf(ContainsRegex("  1 of [0-9]+ storage SOP classes: Little Endian Explicit; "
                                  "JPEG 2000[^\n]*\n      CTImageStorage\n"),
                    ContainsRegex("Little Endian Implicit\n      MRImageStorage\n"),
                    ContainsRegex("SOP classes: not accepted\n      all that are not named")));
}

TEST_F(Connect, TellsOfADeadDestinationBesideOneThatLives) {
  StorescpProcess alive(folder_.path("alive"));
  alive.start();
  const std::vector<Target> both = {{"dead", address_of_port(quiet_port())},
                                    {"alive", alive.address()}};
  const Finished checked = check(both);
  EXPECT_EQ(checked.exit_code, 4);
  EXPECT_THAT(checked.out, AllOf(HasSubstr("dead: " + both[0].address + ": does not work\n"),
                                 HasSubstr("Connection refused"), HasSubstr("nobody listens"),
                                 HasSubstr("alive: " + both[1].address + ": works\n")));

  const Finished one = check(both, {"--destination", "alive"});
  EXPECT_EQ(one.exit_code, 0) << one.out << one.err;
  EXPECT_THAT(one.out, Not(HasSubstr("dead:")));
  const Finished named = check(both, {"--destination", "alive", "--destination", "dead", "--json"});
  EXPECT_EQ(named.exit_code, 4);
  ASSERT_THAT(named.json().at("destinations"), SizeIs(2));
  EXPECT_EQ(named.json().at("destinations").at(0).at("works"), false);
  const std::vector<Target> grouped = {
      both[0],
      both[1],
      {"third", both[1].address,
       "[[group]]\nname = \"archive\"\ndestinations = [\"alive\", \"third\"]"}};
  const Finished members = check(grouped, {"--destination", "archive", "--json"});
  EXPECT_EQ(members.exit_code, 0) << members.out;
  EXPECT_THAT(members.json().at("destinations"), SizeIs(2));

  const Finished unknown = check(both, {"--destination", "aliev"});
  EXPECT_EQ(unknown.exit_code, 2);
  EXPECT_THAT(unknown.err, HasSubstr("did you mean 'alive'"));
  EXPECT_EQ(run_program({SLUICE_PROGRAM, "check", "--destination", "alive", config_}).exit_code, 2);
}

TEST_F(Connect, TriesNothingWhenTheConfigurationIsWrong) {
  const RawListener listener;
  const Finished checked =
      check({{"pacs", address_of_port(listener.port()), "max_pdus = 5"}}, {"--json"});
  EXPECT_EQ(checked.exit_code, 1);
  EXPECT_FALSE(checked.json().contains("destinations"));
  pollfd polled{listener.descriptor(), POLLIN, 0};
  EXPECT_EQ(::poll(&polled, 1, 0), 0) << "it was connected to";
}

TEST_F(Connect, TellsWhoRejectsAndWhy) {
  const ScriptedPeer peer({rejects(1, 1, 7)});
  const Finished checked = check({{"pacs", peer.address()}});
  EXPECT_EQ(checked.exit_code, 4);
  EXPECT_THAT(checked.out,
              HasSubstr("association rejected (permanent): called AE title not recognized, says "
                        "the service user\n"));
  EXPECT_THAT(checked.out, HasSubstr("correct the AE title in `address`"));
}

// One that is busy at first, between its associations too, and then wants no more.
TEST_F(Connect, GivesABusyPeerTimeAndTellsWhereItStopped) {
  const ScriptedPeer peer({rejects(2, 3, 1), answers_echo(0), rejects(2, 3, 2),
                           [](RawPeer& raw) { (void)raw.receive_pdu(); }, rejects(1, 1, 1)});
  const Finished checked = check({{"pacs", peer.address()}}, {"--json"});
  EXPECT_EQ(checked.exit_code, 0) << checked.out;
  const nlohmann::json one = checked.json().at("destinations").at(0);
  EXPECT_EQ(one.at("works"), true);
  EXPECT_EQ(one.at("peer").at("max_pdu"), 8192);
  EXPECT_EQ(one.at("peer").at("implementation_class_uid"), "1.2.3.4");
  EXPECT_EQ(one.at("storage").at("complete"), false);
  EXPECT_THAT(one.at("storage").at("problem").get<std::string>(), HasSubstr("no reason given"));
  EXPECT_THAT(one.at("storage").at("accepted"), IsEmpty());
  EXPECT_THAT(one.at("storage").at("not_accepted"), IsEmpty()) << "it was not asked for";
}

TEST_F(Connect, AnEchoThatFailsIsNoSuccess) {
  const ScriptedPeer peer({answers_echo(0x0122), rejects(1, 1, 1)});
  const Finished checked = check({{"pacs", peer.address()}});
  EXPECT_EQ(checked.exit_code, 4);
  EXPECT_THAT(checked.out, HasSubstr("C-ECHO was answered with status 0122"));
  EXPECT_THAT(checked.out, HasSubstr("not asked for all storage SOP classes: "));
}

TEST_F(Connect, VerificationThatIsNotAcceptedIsNoSuccess) {
  const ScriptedPeer peer(
      {[](RawPeer& raw) {
         (void)raw.receive_pdu();
         // The result of the only context: abstract syntax not supported.
         const std::string context = std::string{1, 0, 0, 0} + item(0x40, kImplicit);
         std::string accept = associate_accept({{1, kImplicit}});
         accept.at(accept.find(context) + 2) = 3;
         raw.send(accept);
         answer_release(raw);
       },
       rejects(1, 1, 1)});
  const Finished checked = check({{"pacs", peer.address()}});
  EXPECT_EQ(checked.exit_code, 4);
  EXPECT_THAT(checked.out, HasSubstr("not the Verification SOP class"));
}

TEST_F(Connect, TellsOfAPeerThatDoesNotAnswerAndOfOneThatIsNoPacs) {
  const RawListener silent;
  const Finished waited =
      check({{"pacs", address_of_port(silent.port()), "response_timeout = \"1s\""}});
  EXPECT_EQ(waited.exit_code, 4);
  EXPECT_THAT(waited.out, AllOf(HasSubstr("no association: "), HasSubstr("does the PACS hang")));

  const ScriptedPeer closes({[](RawPeer& raw) { (void)raw.receive_pdu(); }});
  const Finished closed = check({{"pacs", closes.address()}});
  EXPECT_EQ(closed.exit_code, 4);
  EXPECT_THAT(closed.out, AllOf(HasSubstr("the peer closed the connection"),
                                HasSubstr("does the PACS know this machine's address?")));
}

TEST_F(Connect, LooksAtTheCertificateOverTls) {
  Authority authority(folder_.path(""));
  Authority other(folder_.path(""), "Other CA");
  const Issued pacs = authority.issue("pacs", {.common_name = "pacs"});
  StorescpProcess storescp(folder_.path("pacs"), {"+xi", "+tls", pacs.key, pacs.certificate, "+cf",
                                                  authority.file(), "-ic"});
  storescp.start();
  const auto target = [&](const Authority& trusted) {
    return Target{"pacs", "dicoms://PACS@127.0.0.1:" + std::to_string(storescp.port()),
                  "[destination.tls]\nca = \"" + trusted.file() + "\"\n"};
  };
  const Finished wrong = check({target(other)});
  EXPECT_EQ(wrong.exit_code, 4);
  EXPECT_THAT(wrong.out, AllOf(HasSubstr("no TLS connection: "),
                               HasSubstr("put the CA that signed the certificate of the PACS")));
  EXPECT_THAT(wrong.err, IsEmpty());

  const Finished right = check({target(authority)}, {"--json"});
  EXPECT_EQ(right.exit_code, 0) << right.out;
  EXPECT_THAT(right.json().at("destinations").at(0).at("peer").at("tls").get<std::string>(),
              HasSubstr("TLSv1."));
}

std::vector<fs::path> all_below(const fs::path& folder) {
  std::vector<fs::path> found;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) found.push_back(entry.path());
  return found;
}

TEST_F(Connect, TriesAFolderAndLeavesNothing) {
  const fs::path archive = folder_.path("archive");
  fs::create_directories(archive);
  const std::vector<Target> targets = {{"there", "file://" + archive.string()},
                                       {"made", "file://" + (archive / "a/b").string()}};
  const Finished checked = check(targets, {"--json"});
  EXPECT_EQ(checked.exit_code, 0) << checked.out;
  const nlohmann::json told = checked.json().at("destinations");
  EXPECT_EQ(told.at(0).at("folder").at("exists"), true);
  EXPECT_GT(told.at(0).at("folder").at("free_bytes").get<std::uint64_t>(), 0U);
  EXPECT_EQ(told.at(1).at("folder").at("exists"), false);
  EXPECT_THAT(all_below(archive), IsEmpty());
  EXPECT_THAT(check(targets).out,
              AllOf(HasSubstr("there: file://"), HasSubstr(" GiB free\n"),
                    HasSubstr("does not exist yet, the first delivery makes it")));
}

// Not by permissions, which mean nothing to root.
TEST_F(Connect, TellsOfAFolderThatCannotBeWritten) {
  const std::string file = folder_.path("file");
  std::ofstream(file) << "not a folder";
  const fs::path archive = folder_.path("archive");
  fs::create_directories(archive);
  std::ofstream(archive / ".sluice-parts") << "in the way";
  for (const std::string& path : {file, file + "/below", archive.string()}) {
    const Finished checked = check({{"folder", "file://" + path}});
    EXPECT_EQ(checked.exit_code, 4) << path;
    EXPECT_THAT(checked.out, AllOf(HasSubstr("does not work"), HasSubstr("Not a directory"),
                                   HasSubstr("a part of the path is a file")));
  }
  EXPECT_THAT(all_below(archive), ElementsAre(archive / ".sluice-parts"));
}

}  // namespace
}  // namespace sluice::test
