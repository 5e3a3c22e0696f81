// How a worker sends: one attempt, told by what it means for the instance and for
// the destination.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "gateway/config/config.h"
#include "gateway/deliver/payload.h"
#include "gateway/net/security_alert.h"
#include "gateway/queue/queue.h"

namespace sluice {

enum class AttemptResult {
  delivered,   // the destination has it
  away,        // no association: the destination backs off, and this waits as long
  failed,      // the destination backs off, and this instance longer from try to try: it
               // may be the cause, and must not keep the others waiting
  postponed,   // trouble of our own, a full disk: only this instance waits
  refused,     // this instance is refused: a few tries, then held
  hold,        // no try will help until a person has changed something
  not_now,     // it would have taken too long: the destination has nothing of it
  unanswered,  // all is sent, and the answer takes long: Sender::answer() waits for it
};

using SteadyTime = std::chrono::steady_clock::time_point;

struct Attempt {
  AttemptResult result = AttemptResult::away;
  std::string status;       // DIMSE status, "B000"; "" when there was no answer
  std::string reason;       // "" for plain success; to be escaped by whoever shows it
  bool is_damaged = false;  // the spooled file is not what was received
  // It is not the instance: the destination does not take us, whatever we send.
  bool is_misconfigured = false;
  // The destination's own words, for the queue. They may name the patient: never logged
  // above debug. To be escaped by whoever shows them.
  std::string comment = {};
};

// For the queue, which is as private as the images: the log gets the reason without the comment.
[[nodiscard]] std::string full_reason(const Attempt& attempt);

// What a C-STORE status means (PS3.4 Table B.2-1, PS3.7 Annex C).
[[nodiscard]] Attempt attempt_of_status(std::uint16_t status, const std::string& error_comment);

// What an error before any answer means: `if_transient`, else no try will help.
[[nodiscard]] Attempt attempt_of_error(const Error& error, AttemptResult if_transient);

// One association. SenderPool lends it to one thread at a time.
class Sender {
 public:
  Sender() = default;
  virtual ~Sender() = default;
  Sender(const Sender&) = delete;
  Sender& operator=(const Sender&) = delete;

  // What will be sent next, so that one association can be negotiated for all of it.
  virtual void prepare(std::span<const QueueEntry> batch) = 0;

  // When this throws, the next send starts afresh.
  [[nodiscard]] virtual Attempt send(Payload& payload) = 0;

  // For a destination that answers at once; for others it is always not_now.
  // Sends by `until`, and only over an association that is open already. What is sent is
  // unanswered; answer() waits for its end until then, and must be called before anything else
  // is sent, or the association is aborted.
  [[nodiscard]] virtual Attempt send_now(Payload& /*payload*/, SteadyTime /*until*/) {
    return {AttemptResult::not_now};
  }
  [[nodiscard]] virtual Attempt answer(SteadyTime /*until*/) { return {AttemptResult::failed}; }
  // Opens an association for what prepare() was told. False when that fails, or there is no
  // such thing.
  [[nodiscard]] virtual bool open() { return false; }
  // Whether send_now() may go well. By whoever may send.
  [[nodiscard]] virtual bool is_open() { return false; }

  // Nothing to do since this long.
  virtual void idle(std::chrono::milliseconds since) = 0;

  // From any thread: ends what is under way, without a second try. Later sends may
  // try again.
  virtual void interrupt() = 0;
};

[[nodiscard]] std::unique_ptr<Sender> make_dicom_sender(const config::Destination& destination,
                                                        net::SecurityAlertHook security_alert = {});
[[nodiscard]] std::unique_ptr<Sender> make_folder_sender(const config::Destination& destination);

}  // namespace sluice
