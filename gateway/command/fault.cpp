#include "gateway/command/fault.h"

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <system_error>

#include <fcntl.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "gateway/base/log.h"
#include "gateway/command/command.h"
#include "gateway/command/setup.h"
#include "gateway/command/time_text.h"
#include "gateway/spool/file_descriptor.h"

namespace sluice::command {
namespace {

std::string file_of(const std::string& data_dir) {
  return data_dir + "/fault";
}

std::string error_text(int error_number) {
  return std::generic_category().message(error_number);
}

// 0 or the error number. EEXIST when it is there already, with `flags` of O_EXCL.
int write_durably(const std::string& path, int flags, const std::string& text) {
  FileDescriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0600));
  if (!file.is_open()) return errno;
  const ssize_t written = ::write(file.number(), text.data(), text.size());
  if (written < 0) return errno;
  if (static_cast<std::size_t>(written) != text.size()) return ENOSPC;
  return ::fsync(file.number()) == 0 ? file.close() : errno;
}

int sync_folder(const std::string& path) {
  const FileDescriptor folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder.is_open()) return errno;
  return ::fsync(folder.number()) == 0 ? 0 : errno;
}

std::string now_text() {
  return time_text(std::chrono::system_clock::now());
}

}  // namespace

std::optional<std::string> read_fault(const std::string& data_dir) {
  std::error_code error;
  if (!std::filesystem::exists(file_of(data_dir), error) && !error) return std::nullopt;
  std::ifstream file(file_of(data_dir), std::ios::binary);
  std::string text(std::istreambuf_iterator<char>(file), {});
  while (!text.empty() && text.back() == '\n') text.pop_back();
  if (!text.empty()) return text;
  return file_of(data_dir) + " cannot be read" + (error ? ": " + error.message() : "");
}

void write_fault(const std::string& data_dir, const std::string& reason) noexcept {
  try {
    log::error("storage faulted: nothing is accepted until a person clears it",
               {{"reason", reason},
                {"advice", "check disk and file system, then `sluice fault clear`, then restart"}});
    const std::string text = now_text() + " " + log::escape(reason) + "\n";
    int failed = write_durably(file_of(data_dir), O_EXCL, text);
    if (failed == EEXIST) return;
    if (failed == 0) failed = sync_folder(data_dir);
    if (failed != 0) {
      log::error("the fault cannot be written down; a restart will not know of it",
                 {{"path", file_of(data_dir)}, {"error", error_text(failed)}});
    }
  } catch (const std::exception&) {
    return;  // no memory; the stores refuse in any case
  }
}

Result<void> clear_fault(const std::string& data_dir, const std::string& who,
                         const std::string& why) {
  const auto trouble = [&](const char* what, int error_number) {
    return failure(ErrorCode::transient, std::string("the fault is not cleared: cannot ") + what +
                                             " in " + data_dir + ": " + error_text(error_number) +
                                             "; the disk is still not sound");
  };
  const std::string fault = read_fault(data_dir).value_or("");
  const std::string text =
      fault + "\n" + now_text() + " cleared by " + who + ": " + log::escape(why) + "\n";
  if (const int failed = write_durably(data_dir + "/fault.cleared", O_TRUNC, text); failed != 0) {
    return trouble("write fault.cleared", failed);
  }
  if (::unlink(file_of(data_dir).c_str()) != 0) return trouble("remove the file fault", errno);
  if (const int failed = sync_folder(data_dir); failed != 0) return trouble("sync", failed);
  return {};
}

int fault_show(const std::string& config_file, bool json) {
  const auto config = load_config_or_print(config_file);
  if (!config) return kMistakes;
  const auto fault = read_fault(config->gateway.data_dir);
  if (json) {
    nlohmann::json made = {{"fault", nullptr}};
    if (fault) made["fault"] = *fault;
    std::cout << made.dump() << '\n';
  } else {
    std::cout << (fault ? "storage faulted " + *fault : std::string("no fault")) << '\n';
  }
  return fault ? kOk : kNotFound;
}

int fault_clear(const std::string& config_file, const std::string& reason, bool json) {
  const auto config = load_config_or_print(config_file);
  if (!config) return kMistakes;
  const auto fault = read_fault(config->gateway.data_dir);
  if (fault) {
    const auto cleared = clear_fault(config->gateway.data_dir, person(), reason);
    if (!cleared) return fail(cleared.error().message);
  }
  if (json) {
    std::cout << nlohmann::json{{"cleared", fault.has_value()}}.dump() << '\n';
  } else if (fault) {
    std::cout << "cleared; restart the gateway, which then accepts again\n";
  } else {
    std::cout << "no fault\n";
  }
  return fault ? kOk : kNotFound;
}

}  // namespace sluice::command
