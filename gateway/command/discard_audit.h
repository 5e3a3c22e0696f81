// The audit message of `sluice queue discard`: whose instances a person gave up.
//
//   auto record = DiscardAudit::begin(config, *queue, filter);   before
//   queue->discard(filter, person, reason);
//   record->end(*queue, who, reason);                           after
//
// Works beside a running gateway, which brings the message to its collectors; without one
// it waits for the next start. One thread.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "gateway/audit/messages.h"
#include "gateway/base/error.h"
#include "gateway/config/config.h"
#include "gateway/queue/queue.h"

namespace sluice::command {

class DiscardAudit {
 public:
  // Reads patient and study of what may be discarded, while the files are there, and tries
  // that the audit trail can be written: what cannot be told is not done. Does nothing
  // without [audit]. Errors: of queue and database.
  [[nodiscard]] static Result<DiscardAudit> begin(const config::Config& config, Queue& queue,
                                                  const QueueFilter& filter);

  // Tells what was discarded since. Errors: of queue and database.
  [[nodiscard]] Result<void> end(Queue& queue, const audit::Person& person,
                                 const std::string& reason);

 private:
  DiscardAudit(const config::Config& config, QueueFilter filter);
  void remember(const InstanceRow& instance);
  [[nodiscard]] Result<std::vector<audit::Event>> events(const std::vector<QueueEntry>& discarded,
                                                         Queue& queue, const audit::Person& person,
                                                         const std::string& reason) const;

  const config::Config* config_;
  QueueFilter filter_;
  Time begun_;
  std::vector<audit::Subject> subjects_;
  std::map<std::string, std::size_t> of_instance_;  // which of the subjects
};

}  // namespace sluice::command
