// A gateway and a modality with certificates of one authority.
#pragma once

#include <string>
#include <vector>

#include "tests/support/certificates.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tls_peer.h"

namespace sluice::test {

class TlsCertificates {
 public:
  // [listener.tls] of a gateway that asks for certificates, with more lines.
  [[nodiscard]] std::string listener(const std::string& more = "") const {
    const auto line = [](const std::string& key, const std::string& path) {
      return key + " = \"" + path + "\"\n";
    };
    return "[listener.tls]\n" + line("certificate", gateway_.certificate) +
           line("key", gateway_.key) + line("ca", authority_.file()) + more + "\n";
  }
  // The modality's, for a peer of ours and for DCMTK's.
  [[nodiscard]] TlsWish modality() const {
    return {.certificate = modality_.certificate, .key = modality_.key, .ca = authority_.file()};
  }
  [[nodiscard]] std::vector<std::string> dcmtk_modality() const {
    return {"+tls", modality_.key, modality_.certificate, "+cf", authority_.file()};
  }
  [[nodiscard]] std::vector<std::string> dcmtk_nobody() const {
    return {"--anonymous-tls", "+cf", authority_.file()};
  }

 private:
  TemporaryFolder folder_;
  Authority authority_{folder_.path("")};
  Issued gateway_ = authority_.issue("gateway", {.common_name = "gateway"});
  Issued modality_ = authority_.issue("modality", {.common_name = "modality"});
};

}  // namespace sluice::test
