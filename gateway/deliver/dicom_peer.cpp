#include "gateway/deliver/dicom_peer.h"

#include <utility>

namespace sluice {

DicomPeer::DicomPeer(const config::Destination& destination, net::SecurityAlertHook security_alert)
    : tls_(destination.tls) {
  options_.host = destination.host;
  options_.port = destination.port;
  options_.calling_ae_title = destination.calling_ae_title;
  options_.called_ae_title = destination.called_ae_title;
  options_.max_pdu = destination.max_pdu;
  options_.connect_timeout = destination.connect_timeout;
  options_.response_timeout = destination.response_timeout;
  options_.name = destination.name;
  options_.security_alert = std::move(security_alert);
}

net::Opened<net::Requestor> DicomPeer::open(std::vector<net::ProposedContext> contexts,
                                            const std::string& user_name) {
  if (tls_ && options_.tls == nullptr) {
    auto opened = net::TlsContext::open(*tls_, net::TlsSide::destination, options_.host);
    // Good at the start, and bad now: a file that is being replaced. It comes back.
    if (!opened) {
      return tl::unexpected(net::OpenError{{ErrorCode::transient, opened.error().message}});
    }
    options_.tls = std::move(*opened);
  }
  options_.contexts = std::move(contexts);
  options_.user_name = user_name;
  return net::Requestor::open(options_);
}

}  // namespace sluice
