// Writes what the targets start from: make_fuzz_seeds FOLDER CONF makes a folder below
// FOLDER for each; CONF is the folder of the shipped configuration. Real headers are those
// of Debian's python3-pydicom, with a pixel or two instead of their pixels; the rest is
// made by hand, as the tests make it.
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <string>
#include <vector>

#include "gateway/dicom/deflate.h"
#include "tests/dicom/data_set_model.h"
#include "tests/dicom/dcmtk_oracle.h"
#include "tests/fuzz/quiet.h"
#include "tests/fuzz/targets.h"
#include "tests/support/raw_peer.h"

namespace sluice::fuzz {
namespace {

using test::Form;

constexpr std::size_t kLongest = 12'000;  // bytes of a seed: speed is what counts
constexpr std::uint32_t kMade = 8;        // data sets made at random, in each form

// The first byte of the decisions, as Input::transfer_syntax() takes it.
enum class Choice : char { explicit_le, implicit_le, explicit_be, encapsulated, deflated };

struct DataSet {
  Choice syntax = Choice::explicit_le;
  std::string bytes;
};

class Folder {
 public:
  explicit Folder(std::filesystem::path path) : path_(std::move(path)) {
    std::filesystem::create_directories(path_);
  }
  // With the decisions before it, as Input takes them.
  void add(const std::string& decisions, const std::string& subject) {
    add_plain(static_cast<char>(decisions.size()) + decisions + subject);
  }
  void add_plain(const std::string& bytes) {
    std::ofstream file(path_ / ("seed-" + std::to_string(++count_)), std::ios::binary);
    file << bytes;
    if (!file.flush()) throw std::runtime_error("cannot write below " + path_.string());
  }

 private:
  std::filesystem::path path_;
  int count_ = 0;
};

Choice choice_of(const dicom::TransferSyntax& syntax) {
  if (!syntax.explicit_vr) return Choice::implicit_le;
  if (syntax.big_endian) return Choice::explicit_be;
  if (syntax.deflated) return Choice::deflated;
  return syntax.encapsulated ? Choice::encapsulated : Choice::explicit_le;
}

test::Bytes writer_of(Choice choice) {
  if (choice == Choice::implicit_le) return {Form::implicit_le};
  return {choice == Choice::explicit_be ? Form::explicit_be : Form::explicit_le};
}

// A little of what a header ends before.
std::string pixel_data(Choice choice) {
  const test::Bytes bytes = writer_of(choice);
  if (choice != Choice::encapsulated) return bytes.element(dicom::tags::kPixelData, "OW", "pixels");
  return bytes.head(dicom::tags::kPixelData, "OB", test::kUndefined) + bytes.item("") +
         bytes.item("fragment") + bytes.sequence_end();
}

void add_images(std::vector<DataSet>& data_sets) {
  for (const test::Image& image : test::all_images()) {
    const Choice choice = choice_of(image.syntax);
    const auto header = test::scan_text(image.data_set, image.syntax);
    if (choice == Choice::deflated || !header) {
      if (image.data_set.size() <= kLongest) data_sets.push_back({choice, image.data_set});
      continue;
    }
    if (header->length() > kLongest) continue;
    data_sets.push_back({choice, image.data_set.substr(0, header->length()) + pixel_data(choice)});
  }
}

void add_made(std::vector<DataSet>& data_sets) {
  for (const Form form : test::kForms) {
    const Choice choice = form == Form::implicit_le   ? Choice::implicit_le
                          : form == Form::explicit_be ? Choice::explicit_be
                                                      : Choice::explicit_le;
    for (std::uint32_t seed = 0; seed < kMade; ++seed) {
      test::ModelMaker maker(seed, form);
      const std::string made = test::written(maker.elements(0, false, true), test::Bytes{form});
      data_sets.push_back({choice, made});
      if (form != Form::explicit_le) continue;
      std::string deflated;
      dicom::Deflater deflater;
      if (deflater.deflate(bytes_of(made), true, deflated)) {
        data_sets.push_back({Choice::deflated, deflated});
      }
    }
  }
}

// Some decisions, the same in every run.
std::string decisions(std::size_t seed, std::size_t length) {
  std::mt19937 random(static_cast<std::uint32_t>(seed));
  std::string made(length, '\0');
  for (char& byte : made) byte = static_cast<char>(random());
  return made;
}

void write_data_sets(const std::filesystem::path& root) {
  std::vector<DataSet> data_sets;
  add_images(data_sets);
  add_made(data_sets);
  Folder scanner(root / "scanner");
  Folder patch(root / "patch");
  Folder filters(root / "filters");
  for (std::size_t i = 0; i < data_sets.size(); ++i) {
    const DataSet& one = data_sets[i];
    const std::string syntax(1, static_cast<char>(one.syntax));
    scanner.add(syntax + '\0' + decisions(i, 20), one.bytes);
    if (one.syntax == Choice::deflated) continue;
    patch.add(syntax + decisions(i, 60), one.bytes);
    filters.add(static_cast<char>(i % 10) + syntax, one.bytes);
    filters.add(std::string(1, 0) + syntax + std::string("\0\1", 2), one.bytes);
  }
}

std::string message(const std::string& command, const std::string& data, std::size_t piece) {
  std::string pdvs = test::pdv(1, true, true, command);
  for (std::size_t at = 0; at < data.size(); at += piece) {
    pdvs += test::pdv(1, false, at + piece >= data.size(), data.substr(at, piece));
  }
  return pdvs;
}

void write_network(const std::filesystem::path& root) {
  using namespace test;
  Folder requests(root / "associate_request");
  Folder associations(root / "association");
  Folder splitter(root / "pdv_splitter");
  Folder commands(root / "command_set");

  RequestParts storage;
  storage.contexts = context_item(1, kCtStorage, {kExplicit, kImplicit});
  RequestParts many;
  many.user = user_information(
      item(0x53, big16(1) + big16(1)) + item(0x54, big16(3) + "1.2" + '\1' + '\0') +
      item(0x56, big16(3) + "1.2" + "\1\2") + item(0x55, "VERSION") +
      item(0x58, std::string{2, 1} + big16(3) + "bob" + big16(4) + "word"));
  for (const RequestParts& parts : {RequestParts(), storage, many}) {
    requests.add("", parts.bytes());
    requests.add("\1", parts.body());
    const std::string store =
        message(store_request(kCtStorage, "1.2.3"), small_data_set(kCtStorage, "1.2.3"), 40);
    for (const std::string& rest :
         {data_pdu(store), data_pdu(message(echo_request(), "", 1)) + release_request(),
          data_pdu(store) + data_pdu(store) + abort_pdu(2, 0), pdu(4, "")}) {
      associations.add(std::string("\x10\0\0", 3), parts.bytes() + rest);
      associations.add(std::string("\x10\0\1", 3), parts.bytes() + rest);
      splitter.add("", rest);
      splitter.add(std::string("\1\x30\1\5\7\2\3\4\1\1", 10), parts.bytes() + rest);
    }
  }
  commands.add("", store_request(kCtStorage, "1.2.3.4", 7));
  commands.add("", echo_request());
  commands.add("", store_response(kCtStorage, "1.2.3", 7, 0xA700));
  commands.add(std::string("\1\0\1\0\0\1\4text\0\0\2\7comment\0", 21), echo_request());
}

void write_configurations(const std::filesystem::path& root, const std::filesystem::path& conf) {
  Folder configurations(root / "configuration");
  configurations.add_plain(test::read_file((conf / "sluice.toml").string()));
  for (const auto& entry : std::filesystem::directory_iterator(conf / "examples")) {
    if (entry.path().extension() != ".toml") continue;
    configurations.add_plain(test::read_file(entry.path().string()));
  }
}

}  // namespace
}  // namespace sluice::fuzz

int main(int count, char** arguments) {
  if (count != 3) {
    std::cerr << "usage: make_fuzz_seeds FOLDER CONF\n";
    return 2;
  }
  try {
    sluice::fuzz::keep_quiet();
    sluice::fuzz::write_data_sets(arguments[1]);
    sluice::fuzz::write_network(arguments[1]);
    sluice::fuzz::write_configurations(arguments[1], arguments[2]);
  } catch (const std::exception& error) {
    std::cerr << "make_fuzz_seeds: " << error.what() << '\n';
    return 1;
  }
  return 0;
}
