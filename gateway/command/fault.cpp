#include "gateway/command/fault.h"

#include <cerrno>
#include <chrono>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <system_error>

#include <unistd.h>

#include <nlohmann/json.hpp>

#include "gateway/base/durable_file.h"
#include "gateway/base/log.h"
#include "gateway/command/command.h"
#include "gateway/command/person.h"
#include "gateway/command/setup.h"
#include "gateway/command/time_text.h"

namespace sluice::command {
namespace {

std::string file_of(const std::string& data_dir) {
  return data_dir + "/fault";
}

std::string error_text(int error_number) {
  return std::generic_category().message(error_number);
}

std::string now_text() {
  return time_text(std::chrono::system_clock::now());
}

}  // namespace

std::optional<std::string> read_fault(const std::string& data_dir) {
  std::error_code error;
  if (!std::filesystem::exists(file_of(data_dir), error) && !error) return std::nullopt;
  std::string text;
  try {
    std::ifstream file(file_of(data_dir), std::ios::binary);
    text.assign(std::istreambuf_iterator<char>(file), {});
  } catch (const std::ios_base::failure&) {
    text.clear();  // the disk does not give it: that it is there is enough
  }
  while (!text.empty() && text.back() == '\n') text.pop_back();
  if (!text.empty()) return text;
  return file_of(data_dir) + " cannot be read" + (error ? ": " + error.message() : "");
}

void write_fault(const std::string& data_dir, const std::string& reason) noexcept {
  try {
    log::error("storage faulted: nothing is accepted until a person clears it",
               {{"reason", reason},
                {"advice", "check disk and file system, then `sluice fault clear`, then restart"}});
    if (read_fault(data_dir)) return;
    const std::string text = now_text() + " " + log::escape(reason) + "\n";
    if (const int failed = write_durably(file_of(data_dir), text); failed != 0) {
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
  if (const int failed = write_durably(data_dir + "/fault.cleared", text); failed != 0) {
    return trouble("write fault.cleared", failed);
  }
  if (::unlink(file_of(data_dir).c_str()) != 0) return trouble("remove the file fault", errno);
  if (const int failed = sync_folder(data_dir); failed != 0) return trouble("sync", failed);
  return {};
}

int fault_show(const std::string& config_file, bool json) {
  const auto config = load_places_or_print(config_file);
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
  const auto config = load_places_or_print(config_file);
  if (!config) return kMistakes;
  const auto fault = read_fault(config->gateway.data_dir);
  if (fault) {
    const auto cleared = clear_fault(config->gateway.data_dir, person().name, reason);
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
