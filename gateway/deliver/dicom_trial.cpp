// Verification (PS3.4 Annex A), then negotiation of storage alone (PS3.8 7.1.1.13).
#include <algorithm>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "gateway/deliver/dicom_peer.h"
#include "gateway/deliver/sender.h"
#include "gateway/deliver/trial.h"
#include "gateway/dicom/sop_class.h"
#include "gateway/dicom/transfer_syntax.h"
#include "gateway/net/associate_request.h"
#include "gateway/net/negotiation.h"

namespace sluice {
namespace {

using net::OpenError;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

// Between the tries at a busy peer, doubled: five tries in 7.5 s.
constexpr milliseconds kFirstPause{500};
constexpr milliseconds kLongestPause{4'000};

std::string advice_on_tls(std::string_view reason) {
  if (reason == "not TLS") return "is the port one for plain DICOM (dicom:) instead?";
  if (reason == "no answer" || reason == "cut off" || reason == "connection") {
    return "does the PACS speak TLS on this port, and know this machine's address?";
  }
  if (reason == "unknown CA") {
    return "put the CA that signed the certificate of the PACS into `ca` of [destination.tls], and "
           "let the PACS send its whole chain";
  }
  if (reason == "wrong name") {
    return "correct the host in `address`, or set `name` in [destination.tls]";
  }
  if (reason == "refused by peer") {
    return "give `certificate` and `key` in [destination.tls], and make our CA known to the PACS";
  }
  if (reason == "certificate expired" || reason == "certificate not yet valid") {
    return "renew the certificate of the PACS, or set the clocks";
  }
  if (reason == "no current CRL") return "fetch the file of `crl` anew";
  return "see TLS in docs/operations.md";
}

std::string advice_on_rejection(const net::Rejection& rejection,
                                const config::Destination& destination) {
  const std::string_view reason = net::reason_text(rejection);
  if (reason == net::reason_text(net::kCallingAeTitleNotRecognized)) {
    return "make " + destination.calling_ae_title +
           " and this machine known to the PACS, or set `calling_ae_title`";
  }
  if (reason == net::reason_text(net::kCalledAeTitleNotRecognized)) {
    return "correct the AE title in `address`: the PACS is not called " +
           destination.called_ae_title;
  }
  if (rejection.result == net::Rejection::transient) {
    return "the PACS is busy: try again later, or let it take more associations";
  }
  return "look at the log of the PACS";
}

std::string advice_on(const OpenError& error, const config::Destination& destination) {
  switch (error.kind) {
    case OpenError::Kind::ours:
      return "mend what the message names";
    case OpenError::Kind::unknown_host:
      return "correct the host in `address`, or make it known to this machine's name service";
    case OpenError::Kind::refused:
      return "nobody listens there: start the PACS, or correct the port in `address`";
    case OpenError::Kind::unreachable:
      return "check host and port in `address`, the network, and firewalls on the way";
    case OpenError::Kind::tls:
      return advice_on_tls(error.tls_reason);
    case OpenError::Kind::rejected:
      return advice_on_rejection(error.rejection.value_or(net::Rejection{}), destination);
    case OpenError::Kind::ended:
      return "does the PACS know this machine's address? Is the port one for TLS (dicoms:), or for "
             "something else?";
    case OpenError::Kind::silent:
      return "does the PACS hang, or is the port one for TLS (dicoms:), or for something else?";
    case OpenError::Kind::unusable:
      return "is it a DICOM node? Look at its log";
  }
  return "";
}

class DicomTrial {
 public:
  explicit DicomTrial(const config::Destination& destination)
      : destination_(destination), peer_(destination, {}) {}

  Trial run() {
    Trial trial;
    if (!echo(trial)) return trial;
    trial.storage = ask_for_storage();
    return trial;
  }

 private:
  // A peer that takes one association at a time may need a moment after the last.
  net::Opened<net::Requestor> open(const std::vector<net::ProposedContext>& contexts) {
    for (milliseconds pause = kFirstPause;; pause *= 2) {
      begun_ = steady_clock::now();
      auto opened = peer_.open(contexts);
      if (opened) has_accepted_ = true;
      if (opened || !is_busy(opened.error()) || pause > kLongestPause) return opened;
      std::this_thread::sleep_for(pause);
    }
  }

  [[nodiscard]] bool is_busy(const OpenError& error) const {
    if (error.rejection) return error.rejection->result == net::Rejection::transient;
    // What it has not taken yet it may never take; after an association it is about that one.
    return has_accepted_ &&
           (error.kind == OpenError::Kind::refused || error.kind == OpenError::Kind::ended);
  }

  // False when there was no association.
  bool echo(Trial& trial) {
    auto opened =
        open({{net::kVerificationSopClassUid, {std::string(dicom::kImplicitVrLittleEndian)}}});
    if (!opened) {
      trial.problem = problem_of(opened.error());
      trial.advice = advice_on(opened.error(), destination_);
      return false;
    }
    const auto associated = steady_clock::now();
    EchoTrial& told = trial.echo.emplace();
    told.peer = opened->peer();
    told.associated_in = associated - begun_ - told.peer.connected_in;
    if (opened->contexts().empty()) {
      trial.problem = "the association is accepted, but not the Verification SOP class";
      trial.advice = "let the PACS accept C-ECHO from " + destination_.calling_ae_title;
    } else {
      const auto status = opened->echo(opened->contexts().front().id);
      told.echoed_in = steady_clock::now() - associated;
      judge_echo(status, trial);
    }
    opened->release();
    return true;
  }

  static void judge_echo(const Result<std::uint16_t>& status, Trial& trial) {
    if (status && *status == 0) return;
    trial.advice = "look at the log of the PACS";
    if (!status) {
      trial.problem = "C-ECHO: " + status.error().message;
      return;
    }
    trial.problem = "C-ECHO was answered with status " + attempt_of_status(*status, "").status;
  }

  StorageTrial ask_for_storage() {
    StorageTrial storage;
    storage.transfer_syntaxes = dicom::readable_transfer_syntaxes();
    const std::vector<std::string> uids = dicom::storage_sop_classes();
    const std::size_t at_once =
        std::max<std::size_t>(1, net::kMaxContexts / storage.transfer_syntaxes.size());
    for (std::size_t next = 0; next < uids.size(); next += at_once) {
      const std::size_t count = std::min(at_once, uids.size() - next);
      if (!ask_for(std::span(uids).subspan(next, count), storage)) break;
    }
    return storage;
  }

  // On an association of their own. One transfer syntax a context: of several the peer would
  // choose one. False when that is the last.
  bool ask_for(std::span<const std::string> uids, StorageTrial& storage) {
    std::vector<net::ProposedContext> contexts;
    for (const std::string& uid : uids) {
      for (const std::string& syntax : storage.transfer_syntaxes) {
        contexts.push_back({uid, {syntax}});
      }
    }
    auto opened = open(contexts);
    if (!opened) {
      storage.problem = problem_of(opened.error());
      return false;
    }
    for (const std::string& uid : uids) {
      StorageTrial::SopClass& asked = storage.classes.emplace_back();
      asked.uid = uid;
      for (const net::AcceptedContext& context : opened->contexts()) {
        if (context.abstract_syntax != uid) continue;
        asked.transfer_syntaxes.push_back(context.transfer_syntax);
      }
    }
    opened->release();
    return true;
  }

  static std::string problem_of(const OpenError& error) {
    if (!error.rejection) return error.message;
    return error.message + ", says the " + std::string(net::source_text(*error.rejection));
  }

  const config::Destination& destination_;
  DicomPeer peer_;
  steady_clock::time_point begun_;  // the last try
  bool has_accepted_ = false;       // an association
};

}  // namespace

Trial try_dicom(const config::Destination& destination) {
  return DicomTrial(destination).run();
}

Trial try_destination(const config::Destination& destination) {
  return destination.scheme == "file" ? try_folder(destination) : try_dicom(destination);
}

}  // namespace sluice
