#include "gateway/command/person.h"

#include <array>
#include <cstdlib>
#include <string>

#include <pwd.h>
#include <unistd.h>

namespace sluice::command {
namespace {

// "": it has none.
std::string name_of_account() {
  passwd entry{};
  passwd* found = nullptr;
  std::array<char, 4096> texts{};
  const int error = ::getpwuid_r(::getuid(), &entry, texts.data(), texts.size(), &found);
  return error == 0 && found != nullptr ? found->pw_name : "";
}

}  // namespace

audit::Person person() {
  std::string name;
  for (const char* variable : {"SUDO_USER", "LOGNAME", "USER"}) {
    const char* value = std::getenv(variable);
    if (name.empty() && value != nullptr) name = value;
  }
  if (name.empty()) name = name_of_account();
  const std::string account = std::to_string(::getuid());
  return {name.empty() ? account : name,
          name + (name.empty() ? "" : " ") + "(uid " + account + ")"};
}

}  // namespace sluice::command
