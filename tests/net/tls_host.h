// A listener with TLS for tests, and what it made of its clients.
#pragma once

#include <algorithm>
#include <list>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gateway/net/acceptor.h"
#include "gateway/net/association.h"
#include "gateway/net/transport.h"
#include "tests/support/certificates.h"
#include "tests/support/process.h"
#include "tests/support/raw_peer.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tls_peer.h"

namespace sluice::test {

// Answers every association, reads from it until it ends, and remembers how.
class TlsHost {
 public:
  struct Ending {
    net::Ended ended;
    net::Connection::Ending connection = net::Connection::Ending::none;
  };

  explicit TlsHost(const config::Tls& tls, net::Limits limits = {},
                   std::chrono::milliseconds request_timeout = std::chrono::seconds(30))
      : acceptor_(
            options(tls, request_timeout), limits,
            [](std::size_t /*listener*/, const std::string& /*peer_address*/,
               const net::AssociateRequest& /*request*/) { return std::nullopt; },
            [this](net::Arrival& arrival) { return take(arrival); }, &stop_) {
    if (!net::dcmnet_network()) throw std::runtime_error("no dcmnet");
    const auto started = acceptor_.start();
    if (!started) throw std::runtime_error(started.error().message);
  }
  ~TlsHost() {
    acceptor_.stop();
    stop_.raise();
    for (std::thread& thread : threads_) thread.join();
  }
  TlsHost(const TlsHost&) = delete;
  TlsHost& operator=(const TlsHost&) = delete;

  [[nodiscard]] std::uint16_t port() const { return acceptor_.ports().front(); }

  // How the first association ended.
  [[nodiscard]] Ending wait_for_ending() {
    const bool ended = wait_until([this] {
      const std::lock_guard lock(mutex_);
      return !endings_.empty();
    });
    if (!ended) throw std::runtime_error("no association ended");
    const std::lock_guard lock(mutex_);
    return endings_.front();
  }
  [[nodiscard]] bool wait_for_alert(const std::string& reason) {
    return wait_until([&] {
      const std::lock_guard lock(mutex_);
      return std::ranges::any_of(
          alerts_, [&](const net::SecurityAlert& alert) { return alert.reason == reason; });
    });
  }
  [[nodiscard]] std::vector<net::SecurityAlert> alerts() {
    const std::lock_guard lock(mutex_);
    return alerts_;
  }

 private:
  std::vector<net::ListenerOptions> options(const config::Tls& tls,
                                            std::chrono::milliseconds request_timeout) {
    net::ListenerOptions listener;
    listener.name = "test";
    listener.address = "127.0.0.1";
    listener.request_timeout = request_timeout;
    listener.security_alert = [this](const net::SecurityAlert& alert) {
      const std::lock_guard lock(mutex_);
      alerts_.push_back(alert);
    };
    auto context = net::TlsContext::open(tls, net::TlsSide::listener);
    if (!context) throw std::runtime_error(context.error().message);
    listener.tls = *context;
    return {listener};
  }

  bool take(net::Arrival& arrival) {
    auto shared = std::make_shared<net::Arrival>(std::move(arrival));
    const std::lock_guard lock(mutex_);
    threads_.emplace_back([this, shared] {
      auto association = net::Association::accept(
          shared->connection, net::negotiate(shared->request.contexts, {}), 131072);
      Ending ending;
      if (association) {
        for (;;) {
          shared->connection->await_message();
          const auto pdv = association->next_pdv();
          if (pdv) continue;
          ending = {pdv.error(), shared->connection->ending()};
          break;
        }
      }
      const std::lock_guard finished(mutex_);
      endings_.push_back(ending);
    });
    return true;
  }

  std::mutex mutex_;
  std::vector<Ending> endings_;
  std::vector<net::SecurityAlert> alerts_;
  std::list<std::thread> threads_;
  net::StopSignal stop_;
  net::Acceptor acceptor_;
};

// A listener's certificate from an authority of its own, and clients from another.
class TlsFiles {
 public:
  TlsFiles() : servers(folder.path("")), clients(folder.path(""), "Client CA") {
    const Issued own = servers.issue("gateway");
    listener.certificate = own.certificate;
    listener.key = own.key;
    listener.ca = clients.file();
    listener.client_certificate = "required";
  }

  // What a good client brings.
  [[nodiscard]] TlsWish client(const std::string& name = "ct1",
                               const CertificateWish& wish = {.common_name = "ct1"}) {
    const Issued issued = clients.issue(name, wish);
    TlsWish peer;
    peer.certificate = issued.certificate;
    peer.key = issued.key;
    peer.ca = servers.file();
    last_serial = issued.serial;
    return peer;
  }

  TemporaryFolder folder;
  Authority servers;
  Authority clients;
  config::Tls listener;
  long last_serial = 0;
};

// The first byte of what it is answered: 2 accepted, 3 rejected; -1 for nothing.
inline int ask_for_association(TlsPeer& peer, const RequestParts& parts = {}) {
  if (!peer.handshake() || !peer.send(parts.bytes())) return -1;
  const std::string answer = peer.receive_pdu();
  return answer.empty() ? -1 : answer.front();
}

}  // namespace sluice::test
