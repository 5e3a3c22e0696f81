// The certificates that a configuration names: whether they can be used, and for how long.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "gateway/config/config.h"
#include "gateway/net/certificate_files.h"

namespace sluice::command {

// What an expired certificate is, or one or a CRL that is not valid now.
enum class Outdated {
  is_mistake,  // for `check`: somebody is there to mend it
  // For `serve`: a restart at night, or a clock that is wrong at first, must not stop the
  // listeners and destinations that have nothing to do with it.
  is_warning,
};

// Notes what is wrong in the files of every [listener.tls], [destination.tls] and
// [audit.destination.tls], and what will be, at the lines of their keys.
void check_certificates(const config::Config& config, config::Mistakes& mistakes,
                        Outdated outdated);

// Keeps the gauge sluice_certificate_seconds_left, and logs each certificate at first and
// every day. One thread.
class CertificateWatch {
 public:
  explicit CertificateWatch(const config::Config& config);

  // Looks at the files once a minute; more often it costs nothing.
  void look();

 private:
  struct Place {
    std::string kind;  // "listener", "destination" or "audit"
    std::string name;
    config::Tls tls;
    net::TlsSide side = net::TlsSide::listener;
  };

  std::vector<Place> places_;
  std::chrono::steady_clock::time_point looked_at_{};
  std::chrono::steady_clock::time_point logged_at_{};
};

}  // namespace sluice::command
