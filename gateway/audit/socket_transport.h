// Transports over a socket.
//
//   TCP          frames with a count of octets (RFC 6587 3.4.1)
//   unix socket  datagrams where the receiver takes them, as /dev/log does; else a stream
//                with a line feed behind each message (RFC 6587 3.4.2), which holds none
//
// A peer that takes no byte for half a minute is given up.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "gateway/audit/transport.h"
#include "gateway/base/error.h"
#include "gateway/base/file_descriptor.h"

namespace sluice::audit {

[[nodiscard]] std::unique_ptr<Transport> make_tcp_transport(const std::string& host,
                                                            std::uint16_t port);
[[nodiscard]] std::unique_ptr<Transport> make_unix_transport(const std::string& path);

// Connected, and told to notice a peer that vanished. Errors: transient.
[[nodiscard]] Result<FileDescriptor> connect_collector(const std::string& host, std::uint16_t port);

// For a reset to arrive that answers bytes which the peer's system took and its program
// never read.
inline constexpr std::chrono::milliseconds kStreamTrial{1000};

// What all of them have in common; TLS puts itself between.
class SocketTransport : public Transport {
 public:
  Result<void> send(std::string_view message) override;
  Result<bool> is_taken() override;
  bool finish(SteadyTime deadline) override;
  void close() override;

 protected:
  // What became of one attempt to move bytes.
  struct Moved {
    enum class What { bytes, wait_readable, wait_writable, end, failed, too_long };
    What what = What::failed;
    std::size_t bytes = 0;
    std::string reason = {};  // of failed
  };
  // The base ones use the socket itself; none blocks.
  [[nodiscard]] virtual Moved write_some(std::string_view bytes);
  [[nodiscard]] virtual Moved read_some(std::span<char> buffer);
  // Says the end to the peer, and goes on reading.
  virtual void end_writing();
  [[nodiscard]] virtual std::string framed(std::string_view message) const = 0;
  [[nodiscard]] virtual std::string peer_name() const = 0;

  [[nodiscard]] bool is_open() const { return socket_.is_valid(); }
  [[nodiscard]] int socket() const { return socket_.get(); }
  void take(FileDescriptor socket) { socket_ = std::move(socket); }
  // False when the deadline has passed, or after interrupt().
  [[nodiscard]] bool wait(bool writable, SteadyTime deadline) const;
  [[nodiscard]] tl::unexpected<Error> lost(const std::string& reason);

 private:
  [[nodiscard]] Moved drop_what_came();

  FileDescriptor socket_;
};

}  // namespace sluice::audit
