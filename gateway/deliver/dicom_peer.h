// How a destination is reached over the network: its address, TLS, AE titles, PDU length and
// time-outs as the requests for associations that all who speak to it make.
//
//   DicomPeer peer(destination, {});
//   auto association = peer.open({{kVerificationSopClassUid, {kImplicitVrLittleEndian}}});
//
// One thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "gateway/config/config.h"
#include "gateway/net/requestor.h"

namespace sluice {

class DicomPeer {
 public:
  // For "dicom" and "dicoms".
  DicomPeer(const config::Destination& destination, net::SecurityAlertHook security_alert);

  // `user_name`: as RequestorOptions::user_name. Errors: as Requestor::open(); transient when
  // the files of TLS cannot be used now.
  [[nodiscard]] net::Opened<net::Requestor> open(std::vector<net::ProposedContext> contexts,
                                                 const std::string& user_name = "");

 private:
  net::RequestorOptions options_;  // but for contexts and user name
  const std::optional<config::Tls> tls_;
};

}  // namespace sluice
