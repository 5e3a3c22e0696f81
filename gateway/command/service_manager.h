// Tells a service manager, such as systemd, how far the program is (sd_notify(3)).
//
//   const ServiceManager manager;
//   manager.tell("READY=1");
//
// Without one, nothing happens. One thread.
#pragma once

#include <string>
#include <string_view>

namespace sluice::command {

class ServiceManager {
 public:
  // Takes NOTIFY_SOCKET out of the environment, so that no child speaks for this process.
  // Before any thread starts.
  ServiceManager();

  // Does not wait; a message that cannot be sent is logged.
  void tell(std::string_view state) const;

 private:
  std::string address_;  // of its socket; "": there is none
};

}  // namespace sluice::command
