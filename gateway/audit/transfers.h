// Makes of many instances the few messages that PS3.15 A.5.3.3 and A.5.3.7 want: for each
// patient and study one that begins, and one that tells how many instances of which SOP
// class were transferred, for each outcome.
//
//   Transfers transfers(recorder, route);
//   transfers.begin(subject, sop_class_uid, time);
//   ... the instance goes its way ...
//   transfers.add(subject, sop_class_uid, Outcome::success, "");
//   transfers.tell();                                 at the end of the association or batch
//
// Bounded: when too many studies are open the one that was not used for longest is told,
// and one that goes on for a minute is told in parts, so that a killed gateway has not kept
// much to itself. Without a recorder it does nothing. Nothing waits or throws. One thread;
// the recorder must outlive it. Its end tells what is left.
#pragma once

#include <chrono>
#include <list>
#include <map>
#include <string>

#include "gateway/audit/messages.h"
#include "gateway/audit/recorder.h"

namespace sluice::audit {

class Transfers {
 public:
  Transfers(Recorder* recorder, Route route);
  ~Transfers() { tell(); }
  Transfers(const Transfers&) = delete;
  Transfers& operator=(const Transfers&) = delete;

  // False: there is no audit trail, and subjects need not be looked up.
  [[nodiscard]] bool is_on() const { return recorder_ != nullptr; }

  void begin(const Subject& subject, const std::string& sop_class_uid, Time time) noexcept;
  // One instance came to this outcome. Its study must have begun.
  void add(const Subject& subject, const std::string& sop_class_uid, Outcome outcome,
           const std::string& reason) noexcept;
  void tell() noexcept;

 private:
  struct Sum {
    SopClasses sop_classes;
    std::string reason;  // the last one
  };
  struct Entry {
    Subject subject;
    std::chrono::steady_clock::time_point since;  // of the first instance that is not told
    std::map<Outcome, Sum> sums;
  };

  [[nodiscard]] std::list<Entry>::iterator find(const Subject& subject);
  void tell(const Entry& entry) noexcept;

  Recorder* recorder_;
  Route route_;
  std::list<Entry> entries_;  // the last used first
};

}  // namespace sluice::audit
