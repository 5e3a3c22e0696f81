#include "gateway/command/person.h"

#include <cstdlib>
#include <string>

#include <unistd.h>

namespace sluice::command {

audit::Person person() {
  std::string name;
  for (const char* variable : {"SUDO_USER", "LOGNAME", "USER"}) {
    const char* value = std::getenv(variable);
    if (name.empty() && value != nullptr) name = value;
  }
  const std::string account = std::to_string(::getuid());
  return {name.empty() ? account : name,
          name + (name.empty() ? "" : " ") + "(uid " + account + ")"};
}

}  // namespace sluice::command
