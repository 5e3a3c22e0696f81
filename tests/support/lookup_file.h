// Files for a lookup to read.
#pragma once

#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>

#include "tests/support/temporary_folder.h"

namespace sluice::test {

// Replaces the file at once, by one that looks an hour old: nobody waits for it to settle.
inline void put_file(const std::string& path, const std::string& text) {
  const std::string beside = path + ".new";
  std::ofstream(beside, std::ios::binary) << text;
  std::filesystem::last_write_time(
      beside, std::filesystem::file_time_type::clock::now() - std::chrono::hours(1));
  std::filesystem::rename(beside, path);
}

// Of these types the options that have no default; "" of all others. Keys may be added.
inline std::string required_options(const std::string& type) {
  if (type != "lookup") return "";
  static const TemporaryFolder folder;
  const std::string path = folder.path("by_modality.csv");
  put_file(path, "modality,accession,referrer\nCT,A1,M\xC3\xBCller^J\xC3\xBCrgen\nMR,A2,\n");
  return "file = \"" + path +
         "\"\nkey = { Modality = \"modality\" }\n"
         "set = { AccessionNumber = \"accession\", ReferringPhysicianName = \"referrer\" }\n";
}

}  // namespace sluice::test
