// The response to one C-STORE-RQ (PS3.7 9.3.1.2), which another thread than the association's may
// give. Over plain TCP that thread writes it, too, and the association's own can wait for the next
// message meanwhile: so no thread is woken only to write some bytes.
//
//   Response response(association, std::move(request));
//   response.expect();
//   ... response.give(reply);                        // any thread, once
//   if (response.comes_by_itself()) connection.wait_for_message();
//   const auto written = response.await();           // before the association is used again
//
// Destroyed, it waits for what is expected. The association outlives it.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

#include "gateway/net/association.h"
#include "gateway/receive/intake.h"

namespace sluice {

// Of any request.
[[nodiscard]] net::CommandSet response_to(const net::CommandSet& request, const Reply& reply);

class Response {
 public:
  Response(net::Association& association, net::ReceivedCommand request);
  ~Response();
  Response(const Response&) = delete;
  Response& operator=(const Response&) = delete;

  [[nodiscard]] const net::CommandSet& request() const { return request_.set; }

  void expect();
  void give(Reply reply) noexcept;
  // It was not given yet, and whoever gives it writes it.
  [[nodiscard]] bool comes_by_itself();
  // Written, by another or now.
  [[nodiscard]] net::Received<void> await();

 private:
  [[nodiscard]] net::Received<void> write_now(const Reply& reply) const;
  void note(std::uint16_t status) const;

  net::Association& association_;
  const net::ReceivedCommand request_;
  const std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
  const std::thread::id thread_ = std::this_thread::get_id();  // the association's
  const bool others_write_;

  std::mutex mutex_;  // guards what follows
  std::condition_variable given_;
  bool is_expected_ = false;
  std::optional<Reply> to_write_;
  net::Received<void> written_;
};

}  // namespace sluice
