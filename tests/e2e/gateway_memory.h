// What a process has of memory, as the kernel counts it.
#pragma once

#include <cstddef>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>

#include <sys/types.h>
#include <unistd.h>

namespace sluice::test {

// Bytes that are resident now.
inline std::size_t resident_memory(pid_t process) {
  std::ifstream file("/proc/" + std::to_string(process) + "/statm");
  std::size_t whole = 0;
  std::size_t resident = 0;
  if (!(file >> whole >> resident)) throw std::runtime_error("no statm of the process");
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

// The most that were resident since forget_peak_memory(), or the start.
inline std::size_t peak_memory(pid_t process) {
  std::ifstream file("/proc/" + std::to_string(process) + "/status");
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string name;
    std::size_t kibibytes = 0;
    if (words >> name >> kibibytes && name == "VmHWM:") return kibibytes * 1024;
  }
  throw std::runtime_error("no peak in the status of the process");
}

// proc(5): 5 sets the peak to what is resident now.
inline void forget_peak_memory(pid_t process) {
  std::ofstream file("/proc/" + std::to_string(process) + "/clear_refs");
  if (!(file << "5").flush()) throw std::runtime_error("the peak cannot be forgotten");
}

}  // namespace sluice::test
