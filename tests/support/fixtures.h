// The real images that the tests use: those of Debian's python3-pydicom package.
#pragma once

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

namespace sluice::test {

inline constexpr const char* kFixtureFolder =
    "/usr/lib/python3/dist-packages/pydicom/data/test_files";

inline std::string fixture(const std::string& name) {
  return std::string(kFixtureFolder) + "/" + name;
}

// Every .dcm file of the folder itself, sorted.
inline std::vector<std::string> all_fixtures() {
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(kFixtureFolder)) {
    if (entry.path().extension() == ".dcm") files.push_back(entry.path().string());
  }
  std::sort(files.begin(), files.end());
  if (files.size() < 60) throw std::runtime_error("python3-pydicom's test files are missing");
  return files;
}

inline std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot read " + path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

}  // namespace sluice::test
