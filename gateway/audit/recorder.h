// What the parts of the gateway tell the audit trail.
//
//   Recorder recorder(self_of(config), source_of(config), trail);
//   recorder.application_started();
//
// Nothing here waits or throws: a message that cannot be made for want of memory is
// counted as lost. Safe from any thread; the sink must outlive it.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>

#include "gateway/audit/event.h"
#include "gateway/audit/messages.h"
#include "gateway/audit/sink.h"
#include "gateway/config/config.h"

namespace sluice::audit {

// This process, host and AE titles; and the audit source of the configuration, which is
// the host when it is not given.
[[nodiscard]] Self self_of(const config::Config& config);
[[nodiscard]] Source source_of(const config::Config& config);

// As it is kept and sent.
[[nodiscard]] Message message_of(const Event& event, const Self& self, const Source& source);

class Recorder {
 public:
  Recorder(Self self, Source source, Sink& sink);
  ~Recorder() = default;
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;

  void application_started() noexcept;
  void application_stopped() noexcept;

  // The same node and reason again is counted, and told once a minute: a port scan must not
  // push the rest out of the trail.
  void node_refused(const Node& node, Outcome outcome, const std::string& description) noexcept;

  void storage_failed(const std::string& uri, const std::string& description) noexcept;

  // A TLS client named itself by its certificate. `user` is its subject, or common name.
  void user_authenticated(const std::string& user, const Node& node, Outcome outcome,
                          const std::string& description) noexcept;

  void transfer_begun(const Route& route, const Subject& subject, const std::string& sop_class_uid,
                      Time time) noexcept;
  void transferred(const Route& route, const Subject& subject, const SopClasses& sop_classes,
                   Outcome outcome, const std::string& reason) noexcept;

  // Tells of refusals that were counted. Now and then.
  void keep_house() noexcept;

 private:
  struct Refusal {
    Node node;
    Outcome outcome = Outcome::success;
    std::chrono::steady_clock::time_point since;
    std::uint64_t more = 0;
  };

  template <typename Make>
  void record(const Make& make) noexcept;
  void tell_refusal(const Refusal& refusal, const std::string& description);

  const Self self_;
  const Source source_;
  Sink& sink_;
  std::mutex mutex_;                                                 // guards what follows
  std::map<std::pair<std::string, std::string>, Refusal> refusals_;  // by place and reason
};

}  // namespace sluice::audit
