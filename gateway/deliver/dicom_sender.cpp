// Storage SCU (PS3.4 Annex B) over an association that is kept open between instances.
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <mutex>
#include <optional>
#include <set>
#include <utility>

#include "gateway/base/counter.h"
#include "gateway/base/log.h"
#include "gateway/deliver/dicom_peer.h"
#include "gateway/deliver/sender.h"
#include "gateway/net/requestor.h"

namespace sluice {
namespace {

using net::AcceptedContext;
using net::Requestor;
using std::chrono::steady_clock;

// An association has at most 128 contexts (PS3.8 9.3.2.2); a class and syntax takes
// two, one for the syntax as received and one for what it can be converted to.
constexpr std::size_t kMostKinds = 64;
constexpr std::size_t kLongestUid = 64;  // PS3.5 9.1

// What uncompressed data is converted to, best first: explicit keeps the VRs.
constexpr std::array<std::string_view, 4> kUncompressed = {
    dicom::kExplicitVrLittleEndian, dicom::kImplicitVrLittleEndian, dicom::kExplicitVrBigEndian,
    dicom::kDeflatedExplicitVrLittleEndian};

struct Kind {
  std::string sop_class_uid;
  std::string transfer_syntax_uid;
  auto operator<=>(const Kind&) const = default;
};

bool is_proposable(const Kind& kind) {
  const auto fits = [](const std::string& uid) {
    return !uid.empty() && uid.size() <= kLongestUid;
  };
  return fits(kind.sop_class_uid) && fits(kind.transfer_syntax_uid);
}

bool is_convertible(const std::string& transfer_syntax_uid) {
  return std::ranges::find(kUncompressed, transfer_syntax_uid) != kUncompressed.end();
}

// As it is, and in what it can be converted to; only what the destination is offered, if
// that was said.
void propose(const Kind& kind, const std::vector<std::string>& offered,
             std::vector<net::ProposedContext>& contexts) {
  const auto is_offered = [&](std::string_view uid) {
    return offered.empty() || std::ranges::find(offered, uid) != offered.end();
  };
  if (is_offered(kind.transfer_syntax_uid)) {
    contexts.push_back({kind.sop_class_uid, {kind.transfer_syntax_uid}});
  }
  if (!is_convertible(kind.transfer_syntax_uid)) return;
  net::ProposedContext others{kind.sop_class_uid, {}};
  for (const std::string_view uid : kUncompressed) {
    if (uid != kind.transfer_syntax_uid && is_offered(uid)) {
      others.transfer_syntaxes.emplace_back(uid);
    }
  }
  if (!others.transfer_syntaxes.empty()) contexts.push_back(std::move(others));
}

// Tells a failure of ours to read from a failure of the association.
class WatchedSource : public net::DataSource {
 public:
  explicit WatchedSource(Payload& payload) : payload_(payload) {}
  Result<std::size_t> read(std::span<std::byte> buffer) override {
    auto got = payload_.read(buffer);
    if (!got) error_ = got.error();
    return got;
  }
  [[nodiscard]] const std::optional<Error>& error() const { return error_; }

 private:
  Payload& payload_;
  std::optional<Error> error_;
};

class DicomSender : public Sender {
 public:
  DicomSender(config::Destination destination, net::SecurityAlertHook security_alert)
      : destination_(std::move(destination)), peer_(destination_, std::move(security_alert)) {}

  void prepare(std::span<const QueueEntry> batch) override {
    batch_.clear();
    for (const QueueEntry& entry : batch) {
      Kind kind{entry.instance.sop_class_uid, entry.instance.transfer_syntax_uid};
      if (is_proposable(kind) && is_offered(kind)) batch_.insert(std::move(kind));
    }
  }

  Attempt send(Payload& payload) override {
    forget_unanswered();
    try {
      return try_twice(payload);
    } catch (...) {
      // Nobody knows how far the message got.
      forget();
      throw;
    }
  }

  Attempt send_now(Payload& payload, SteadyTime until) override {
    forget_unanswered();
    const Kind kind = kind_of(payload);
    // Whether the peer has closed it meanwhile shows when it is used.
    if (!association_ || !proposed_.contains(kind) || user_name_of(payload) != user_name_) {
      return {AttemptResult::not_now};
    }
    const auto context = find_context(kind.sop_class_uid, kind.transfer_syntax_uid);
    if (!context) return {AttemptResult::not_now};
    try {
      if (auto ended = begin(payload, context->id, until)) {
        return ended->again ? Attempt{AttemptResult::not_now} : std::move(ended->attempt);
      }
      is_unanswered_ = true;
      return {AttemptResult::unanswered};
    } catch (...) {
      forget();
      throw;
    }
  }

  Attempt answer(SteadyTime until) override {
    const bool may_wait = until == SteadyTime::max();
    if (!may_wait && !association_->has_answer(until)) return {AttemptResult::unanswered};
    Try ended = end();
    is_unanswered_ = false;
    // As send() would try again.
    if (ended.again && !may_wait) return {AttemptResult::not_now};
    return std::move(ended.attempt);
  }

  bool open() override { return !batch_.empty() && associate(*batch_.begin(), "").has_value(); }

  bool is_open() override { return association_.has_value(); }

  void idle(std::chrono::milliseconds since) override {
    if (association_ && (since >= destination_.idle_timeout || !association_->is_open())) {
      leave();
    }
  }

  void interrupt() override {
    const std::lock_guard lock(mutex_);
    ++interrupts_;
    if (association_) association_->interrupt();
  }

 private:
  struct Try {
    Attempt attempt;
    bool again = false;  // on an association of its own it may go well
  };

  // A peer may close an association that it has had for a while at any moment, and it
  // may have learnt to accept what it refused when the association began: neither is
  // told of an instance before a fresh association was tried.
  Attempt try_twice(Payload& payload) {
    const int interrupts = interrupts_;
    Try first = try_once(payload);
    if (!first.again || interrupts_ != interrupts || !payload.can_rewind()) return first.attempt;
    leave();
    return try_once(payload).attempt;
  }

  Try try_once(Payload& payload) {
    const Kind kind = kind_of(payload);
    if (!is_proposable(kind)) {
      return {{AttemptResult::hold, "",
               "its SOP Class UID '" + kind.sop_class_uid +
                   "' cannot be proposed: not of 1 to 64 characters"}};
    }
    if (!is_offered(kind)) {
      return {{AttemptResult::hold, "",
               "the destination is not offered " +
                   dicom::transfer_syntax_name(kind.transfer_syntax_uid) +
                   " by its transfer_syntaxes, and this cannot be converted"}};
    }
    const std::string user_name = user_name_of(payload);
    const bool reused = serves(kind, user_name);
    if (!reused) {
      const auto opened = associate(kind, user_name);
      if (!opened) {
        Attempt attempt = attempt_of_error(opened.error(), AttemptResult::away);
        // Rejected for good (PS3.8 9.3.4): it knows one of the two AE titles not.
        attempt.is_misconfigured = opened.error().code == ErrorCode::configuration;
        return {attempt};
      }
    }
    if (const auto context = find_context(kind.sop_class_uid, kind.transfer_syntax_uid)) {
      return store(payload, context->id, reused);
    }
    const auto other = find_convertible(kind);
    if (!other) return {{AttemptResult::refused, "", why_not(kind)}, reused};
    auto converted = payload.converted(other->transfer_syntax);
    if (!converted) return {attempt_of_error(converted.error(), AttemptResult::postponed)};
    count("sluice_conversions_total", {{"destination", destination_.name}});
    return store(*converted, other->id, reused);
  }

  [[nodiscard]] bool is_offered(const Kind& kind) const {
    if (destination_.transfer_syntaxes.empty()) return true;
    std::vector<net::ProposedContext> contexts;
    propose(kind, destination_.transfer_syntaxes, contexts);
    return !contexts.empty();
  }

  [[nodiscard]] static Kind kind_of(const Payload& payload) {
    return {payload.identifiers().sop_class_uid, payload.transfer_syntax().uid};
  }

  // An association has one user (PS3.7 D.3.3.7).
  [[nodiscard]] std::string user_name_of(const Payload& payload) const {
    return destination_.user_identity ? payload.identifiers().user_name : std::string();
  }

  [[nodiscard]] bool serves(const Kind& kind, const std::string& user_name) {
    return association_ && association_->is_open() && proposed_.contains(kind) &&
           user_name == user_name_;
  }

  Try store(Payload& payload, std::uint8_t context_id, bool reused) {
    auto failed = begin(payload, context_id, SteadyTime::max());
    Try ended = failed ? std::move(*failed) : end();
    ended.again = ended.again && reused;
    return ended;
  }

  // nullopt: all is sent.
  std::optional<Try> begin(Payload& payload, std::uint8_t context_id, SteadyTime until) {
    payload.rewind();
    const Identifiers& identifiers = payload.identifiers();
    WatchedSource source(payload);
    begun_ = steady_clock::now();
    const auto sent =
        association_->send(context_id, identifiers.sop_class_uid, identifiers.sop_instance_uid,
                           source, until, identifiers.priority);
    if (sent) return std::nullopt;
    if (steady_clock::now() < until) return broken(sent.error(), source.error());
    forget();
    return Try{{AttemptResult::not_now}};
  }

  Try end() {
    const auto response = association_->answer();
    return response ? answered(*response) : broken(response.error(), {});
  }

  // `ours`: the failure to read what was to be sent.
  Try broken(const Error& error, const std::optional<Error>& ours) {
    forget();
    if (ours) return {attempt_of_error(*ours, AttemptResult::postponed)};
    // No time-out of the association is shorter; after one a second try would only wait.
    const bool timed_out = steady_clock::now() - begun_ >= destination_.response_timeout;
    return {attempt_of_error(error, AttemptResult::failed), !timed_out};
  }

  Try answered(const net::StoreResponse& response) {
    // PS3.7 C.5: the peer did not take the message as what it is; start afresh.
    if (response.status >= 0x0210 && response.status <= 0x0212) forget();
    return {attempt_of_status(response.status, response.error_comment)};
  }

  // An association for this kind, for all that waits, and for what was sent before:
  // mixed traffic must not open one anew with every change.
  Result<void> associate(const Kind& kind, const std::string& user_name) {
    leave();
    std::set<Kind> kinds = {kind};
    for (const std::set<Kind>* more : {&batch_, &proposed_}) {
      for (const Kind& each : *more) {
        if (kinds.size() < kMostKinds) kinds.insert(each);
      }
    }
    std::vector<net::ProposedContext> contexts;
    for (const Kind& each : kinds) propose(each, destination_.transfer_syntaxes, contexts);
    auto opened = peer_.open(std::move(contexts), user_name);
    if (!opened) return tl::unexpected(opened.error());
    proposed_ = std::move(kinds);
    user_name_ = user_name;
    const std::lock_guard lock(mutex_);
    association_.emplace(std::move(*opened));
    return {};
  }

  [[nodiscard]] std::optional<AcceptedContext> find_context(
      std::string_view sop_class_uid, std::string_view transfer_syntax) const {
    for (const AcceptedContext& context : association_->contexts()) {
      if (context.abstract_syntax == sop_class_uid && context.transfer_syntax == transfer_syntax) {
        return context;
      }
    }
    return std::nullopt;
  }

  [[nodiscard]] std::optional<AcceptedContext> find_convertible(const Kind& kind) const {
    if (!is_convertible(kind.transfer_syntax_uid)) return std::nullopt;
    for (const std::string_view uid : kUncompressed) {
      if (auto context = find_context(kind.sop_class_uid, uid)) return context;
    }
    return std::nullopt;
  }

  [[nodiscard]] static std::string why_not(const Kind& kind) {
    std::string text = "the destination accepts no presentation context for SOP class " +
                       kind.sop_class_uid + " in " +
                       dicom::transfer_syntax_name(kind.transfer_syntax_uid);
    if (!is_convertible(kind.transfer_syntax_uid)) text += ", which is not converted";
    return text + "; let the PACS accept it, then `sluice queue retry`";
  }

  void forget_unanswered() {
    if (std::exchange(is_unanswered_, false)) forget();
  }

  // In order: released.
  void leave() {
    if (association_) association_->release();
    forget();
  }

  // Aborts what was not released; outside of the lock, for it may take a moment.
  void forget() {
    std::optional<Requestor> old;
    const std::lock_guard lock(mutex_);
    old.swap(association_);
  }

  const config::Destination destination_;
  DicomPeer peer_;
  std::set<Kind> batch_;
  std::set<Kind> proposed_;  // with the last association
  std::string user_name_;    // of the last association
  std::mutex mutex_;         // guards the existence of association_ against interrupt()
  std::optional<Requestor> association_;
  std::atomic<int> interrupts_ = 0;
  SteadyTime begun_;            // the last message
  bool is_unanswered_ = false;  // it was left alone
};

}  // namespace

std::unique_ptr<Sender> make_dicom_sender(const config::Destination& destination,
                                          net::SecurityAlertHook security_alert) {
  return std::make_unique<DicomSender>(destination, std::move(security_alert));
}

}  // namespace sluice
