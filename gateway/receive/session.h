// One association that was accepted: answers C-ECHO and C-STORE until it ends.
//
// run() is the whole life of the association's thread. What breaks the rules of PS3.7
// and PS3.8 is aborted, and a running instance then leaves nothing.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "gateway/audit/transfers.h"
#include "gateway/config/config.h"
#include "gateway/net/acceptor.h"
#include "gateway/net/association.h"
#include "gateway/pipeline/setup.h"
#include "gateway/receive/response.h"
#include "gateway/receive/server.h"

namespace sluice {

class Session {
 public:
  // All of it goes by this setup, whatever comes meanwhile. `listener`: which one of it; the
  // services have its pipeline, and must outlive this.
  Session(std::shared_ptr<const Setup> setup, const config::Listener& listener, Services services,
          net::Arrival arrival);

  void run() noexcept;

  // Ends the association within whatever it is doing. Any thread.
  void shut_down() noexcept { connection_->shut_down(); }

 private:
  // How a message ended: go on, or the association is over for this reason.
  using Handled = net::Received<void>;

  // One C-STORE, until its response is written.
  struct Storing;

  void serve();
  [[nodiscard]] Handled converse(net::Association& association, std::optional<Storing>& storing);
  [[nodiscard]] Handled handle(net::Association& association, net::ReceivedCommand received,
                               std::optional<Storing>& storing);
  [[nodiscard]] Handled store(net::Association& association, net::ReceivedCommand received,
                              std::optional<Storing>& storing);
  [[nodiscard]] Handled refuse(net::Association& association, net::ReceivedCommand received,
                               const Reply& refusal) const;
  [[nodiscard]] Handled skip_data_set(net::Association& association, std::uint8_t context_id) const;
  [[nodiscard]] static Handled respond(net::Association& association,
                                       const net::ReceivedCommand& received, const Reply& reply);
  void note_certificate() const;
  void answer(Storing& storing, Reply reply) noexcept;
  void note_transfer(const Storing& storing, const Reply& reply);
  [[nodiscard]] Provenance provenance(const net::ReceivedCommand& received) const;
  // To the audit trail, as one that is not let in is.
  void note_broken_rule(const std::string& rule) const;
  void end(net::Association& association, const net::Ended& ended) const;

  const std::shared_ptr<const Setup> setup_;
  const config::Gateway& gateway_;  // these two: of the setup
  const config::Listener& listener_;
  Services services_;
  std::shared_ptr<net::Connection> connection_;
  net::AssociateRequest request_;
  std::unique_ptr<net::Slot> slot_;
  audit::Transfers transfers_;
};

}  // namespace sluice
