#include <thread>

#include <fcntl.h>
#include <sys/file.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gateway/deliver/sender.h"
#include "tests/deliver/gateway_parts.h"
#include "tests/dicom/dcmtk_oracle.h"
#include "tests/support/small_disk.h"

namespace sluice::test {
namespace {

namespace fs = std::filesystem;

std::string data_element(std::size_t group, std::size_t number, std::string value) {
  if (value.size() % 2 != 0) value.push_back(' ');
  return little16(group) + little16(number) + little32(value.size()) + value;
}

ReceivedData patient(const std::string& patient_id, const std::string& uid = "1.2.3.4",
                     const std::string& comment = "none") {
  return {kCtStorage, uid, kImplicit,
          data_element(0x0008, 0x0016, kCtStorage + std::string(1, '\0')) +
              data_element(0x0008, 0x0018, uid) + data_element(0x0010, 0x0020, patient_id) +
              data_element(0x0020, 0x000D, "1.2.3.10") + data_element(0x0020, 0x000E, "1.2.3.20") +
              data_element(0x0020, 0x4000, comment)};
}

struct Writing {
  explicit Writing(const std::string& target = "")
      : folder(target.empty() ? work.path("archive/of/images") : target),
        parts(folder_destination("archive", folder) + route("\"archive\"")),
        sender(make_folder_sender(parts.destination())) {}

  Attempt send(const ReceivedData& data) { return send(data, *sender); }
  Attempt send(const ReceivedData& data, Sender& by) {
    auto payload = parts.payload(parts.receive(data, {"archive"}));
    if (!payload) throw std::runtime_error(payload.error().message);
    return by.send(*payload);
  }

  // Relative to the folder, sorted; every file, parts too.
  [[nodiscard]] std::vector<std::string> files() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::recursive_directory_iterator(folder)) {
      if (entry.is_regular_file()) names.push_back(fs::relative(entry.path(), folder));
    }
    std::ranges::sort(names);
    return names;
  }

  TemporaryFolder work;
  std::string folder;
  GatewayParts parts;
  std::unique_ptr<Sender> sender;
};

TEST(FolderSender, WritesAPart10FileByPatientStudyAndSeries) {
  Writing writing;
  const Attempt attempt = writing.send(patient("ID1"));
  EXPECT_EQ(attempt.result, AttemptResult::delivered) << attempt.reason;
  ASSERT_THAT(writing.files(), testing::ElementsAre("ID1/1.2.3.10/1.2.3.20/1.2.3.4.dcm"));
  const std::string path = writing.folder + "/" + writing.files()[0];
  const std::string bytes = read_file(path);
  EXPECT_EQ(bytes.substr(data_set_offset(bytes)), patient("ID1").data_set);
  DcmFileFormat file;
  ASSERT_TRUE(file.loadFile(path.c_str()).good());
  OFString text;
  file.getMetaInfo()->findAndGetOFString(DCM_MediaStorageSOPInstanceUID, text);
  EXPECT_EQ(text, "1.2.3.4");
  file.getMetaInfo()->findAndGetOFString(DCM_TransferSyntaxUID, text);
  EXPECT_EQ(text, kImplicit.c_str());
}

TEST(FolderSender, KeepsOneFileForTheSameBytes) {
  Writing writing;
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(writing.send(patient("ID1")).result, AttemptResult::delivered);
  }
  EXPECT_EQ(writing.files().size(), 1U);
}

TEST(FolderSender, KeepsOtherBytesBesideTheFirst) {
  Writing writing;
  for (const std::string comment : {"one ", "two ", "one ", "two ", "six "}) {
    EXPECT_EQ(writing.send(patient("ID1", "1.2.3.4", comment)).result, AttemptResult::delivered);
  }
  const auto files = writing.files();
  ASSERT_EQ(files.size(), 3U);
  EXPECT_THAT(files, testing::Contains("ID1/1.2.3.10/1.2.3.20/1.2.3.4.dcm"));
  const std::string first = read_file(writing.folder + "/ID1/1.2.3.10/1.2.3.20/1.2.3.4.dcm");
  EXPECT_NE(first.find("one "), std::string::npos);
}

TEST(FolderSender, NeverLeavesItsFolder) {
  Writing writing;
  const std::vector<std::string> ids = {"../../escape",
                                        "/etc/passwd",
                                        "..",
                                        ".",
                                        "a/b",
                                        std::string(64, 'x') + "longer",
                                        "\x1b[31m",
                                        "-",
                                        " ",
                                        ".sluice-parts"};
  for (const std::string& id : ids) {
    EXPECT_EQ(writing.send(patient(id)).result, AttemptResult::delivered) << id;
  }
  const auto files = writing.files();
  EXPECT_EQ(files.size(), ids.size());
  for (const std::string& file : files) {
    EXPECT_EQ(file.find('\x1b'), std::string::npos) << file;
    EXPECT_EQ(("/" + file).find("/."), std::string::npos) << file;
    EXPECT_EQ(std::ranges::count(file, '/'), 3) << file;
  }
  for (const auto& entry : fs::recursive_directory_iterator(writing.work.path())) {
    if (!entry.is_regular_file()) continue;
    EXPECT_TRUE(entry.path().string().starts_with(writing.folder)) << entry.path();
  }
}

TEST(FolderSender, TellsPatientsApartWhoseNamesBecomeEqual) {
  Writing writing;
  for (const std::string id : {"a b", "a/b", "a_b", "a\\b"}) {
    EXPECT_EQ(writing.send(patient(id)).result, AttemptResult::delivered);
  }
  EXPECT_EQ(writing.files().size(), 4U);
}

TEST(FolderSender, TakesAFolderWithASlashAtItsEnd) {
  const TemporaryFolder work;
  Writing writing(work.path("archive") + "/");
  EXPECT_EQ(writing.send(patient("ID1")).result, AttemptResult::delivered);
  EXPECT_EQ(writing.files().size(), 1U);
}

TEST(FolderSender, MakesAFolderAnewThatWasTakenAway) {
  Writing writing;
  EXPECT_EQ(writing.send(patient("ID1")).result, AttemptResult::delivered);
  fs::remove_all(writing.folder + "/ID1");
  EXPECT_EQ(writing.send(patient("ID1")).result, AttemptResult::failed);
  EXPECT_EQ(writing.send(patient("ID1")).result, AttemptResult::delivered);
  EXPECT_EQ(writing.files().size(), 1U);
}

TEST(FolderSender, RemovesPartsOfACrashButNotOfOthers) {
  Writing writing;
  fs::create_directories(writing.folder + "/.sluice-parts");
  std::ofstream(writing.folder + "/.sluice-parts/STALE1") << "half a file";
  const std::string busy = writing.folder + "/.sluice-parts/BUSY01";
  std::ofstream(busy) << "another gateway is at it";
  const FileDescriptor other(::open(busy.c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_EQ(::flock(other.get(), LOCK_EX), 0);
  EXPECT_EQ(writing.send(patient("ID1")).result, AttemptResult::delivered);
  EXPECT_THAT(writing.files(),
              testing::ElementsAre(".sluice-parts/BUSY01", "ID1/1.2.3.10/1.2.3.20/1.2.3.4.dcm"));
}

TEST(FolderSender, WaitsWhileTheDiskIsFullAndLeavesNothing) {
  const SmallDisk disk(256);
  if (!disk.is_mounted()) GTEST_SKIP() << disk.why_not();
  Writing writing(disk.path("archive"));
  EXPECT_EQ(writing.send(patient("ID1")).result, AttemptResult::delivered);
  disk.fill("filler");
  const Attempt attempt = writing.send(patient("SECRET", "1.2.3.5", std::string(8000, 'x')));
  EXPECT_EQ(attempt.result, AttemptResult::failed);
  EXPECT_NE(attempt.reason.find("No space left"), std::string::npos) << attempt.reason;
  EXPECT_EQ(attempt.reason.find("SECRET"), std::string::npos) << "no patient data in reasons";
  EXPECT_EQ(writing.files().size(), 1U);
  fs::remove(disk.path("filler"));
  EXPECT_EQ(writing.send(patient("SECRET", "1.2.3.5", std::string(8000, 'x'))).result,
            AttemptResult::delivered);
}

TEST(FolderSender, HoldsWhereADamagedFileIsInTheWay) {
  Writing writing;
  for (const std::string comment : {"one ", "two "}) {
    EXPECT_EQ(writing.send(patient("ID1", "1.2.3.4", comment)).result, AttemptResult::delivered);
  }
  for (const std::string& file : writing.files()) flip_byte(writing.folder + "/" + file);
  const Attempt attempt = writing.send(patient("ID1", "1.2.3.4", "two "));
  EXPECT_EQ(attempt.result, AttemptResult::hold);
  EXPECT_NE(attempt.reason.find("move it away"), std::string::npos);
}

TEST(FolderSender, BacksOffWhereItsFolderCannotBeMade) {
  Writing writing;
  auto payload = writing.parts.payload(writing.parts.receive(patient("ID1"), {"archive"}));
  ASSERT_TRUE(payload);
  auto destination = writing.parts.destination();
  destination.folder = "/dev/null/impossible";
  EXPECT_EQ(make_folder_sender(destination)->send(*payload).result, AttemptResult::failed);
}

TEST(FolderSender, WritesOneFileFromManyWorkers) {
  Writing writing;
  std::vector<std::string> ids;
  for (int i = 0; i < 4; ++i) {
    for (int copy = 0; copy < 4; ++copy) {
      ids.push_back(
          writing.parts.receive(patient("ID1", "1.2.3." + std::to_string(i)), {"archive"}));
    }
  }
  std::vector<std::thread> workers;
  std::atomic<int> delivered = 0;
  for (std::size_t worker = 0; worker < 4; ++worker) {
    workers.emplace_back([&, worker] {
      const auto sender = make_folder_sender(writing.parts.destination());
      for (std::size_t i = worker; i < ids.size(); i += 4) {
        auto payload = writing.parts.payload(ids[i]);
        if (payload && sender->send(*payload).result == AttemptResult::delivered) ++delivered;
      }
    });
  }
  for (std::thread& worker : workers) worker.join();
  EXPECT_EQ(delivered, 16);
  EXPECT_EQ(writing.files().size(), 4U);
}

}  // namespace
}  // namespace sluice::test
