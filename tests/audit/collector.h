// A syslog collector over TCP (RFC 6587 3.4.1): takes frames, and misbehaves when told to.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/process.h"

namespace sluice::test {

class Collector {
 public:
  // 0: a free port.
  explicit Collector(std::uint16_t port = 0)
      : listening_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const int on = 1;
    (void)::setsockopt(listening_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    socklen_t length = sizeof(address);
    // Small, so that a collector that does not read stops its sender soon.
    const int buffer = 4096;
    (void)::setsockopt(listening_, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof(buffer));
    if (::bind(listening_, generic, length) != 0 || ::listen(listening_, 8) != 0 ||
        ::getsockname(listening_, generic, &length) != 0) {
      throw std::runtime_error("no collector");
    }
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { run(); });
  }
  ~Collector() {
    stopping_ = true;
    thread_.join();
    for (Client& client : clients_) ::close(client.socket);
    ::close(listening_);
  }
  Collector(const Collector&) = delete;
  Collector& operator=(const Collector&) = delete;

  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] std::string address() const {
    return "syslog://127.0.0.1:" + std::to_string(port_);
  }
  [[nodiscard]] std::vector<std::string> messages() const {
    const std::lock_guard lock(mutex_);
    return messages_;
  }
  [[nodiscard]] bool wait_for(std::size_t count) const {
    return wait_until([&] { return messages().size() >= count; });
  }
  [[nodiscard]] std::size_t connections() const { return connections_; }

  std::atomic<bool> reads = true;
  // Each client is reset, its bytes unread, once this many messages came in all.
  std::atomic<std::size_t> resets_after = SIZE_MAX;

 private:
  struct Client {
    int socket = -1;
    std::string bytes;
  };

  void run() {
    while (!stopping_) {
      std::vector<pollfd> polled = {{listening_, POLLIN, 0}};
      if (reads) {
        for (const Client& client : clients_) polled.push_back({client.socket, POLLIN, 0});
      }
      (void)::poll(polled.data(), polled.size(), 10);
      for (std::size_t i = 1; i < polled.size(); ++i) {
        if (polled[i].revents != 0) read(polled[i].fd);
      }
      if ((polled[0].revents & POLLIN) != 0) {
        clients_.push_back({::accept4(listening_, nullptr, nullptr, SOCK_CLOEXEC), ""});
        ++connections_;
      }
    }
  }

  void read(int socket) {
    const auto client = std::ranges::find(clients_, socket, &Client::socket);
    if (messages().size() >= resets_after) {
      const linger at_once{1, 0};
      (void)::setsockopt(socket, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
      resets_after = SIZE_MAX;
      drop(client);
      return;
    }
    std::array<char, 1000> buffer{};
    const ssize_t got = ::recv(socket, buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (got <= 0) {
      drop(client);
      return;
    }
    client->bytes.append(buffer.data(), static_cast<std::size_t>(got));
    for (;;) {
      const std::size_t space = client->bytes.find(' ');
      if (space == std::string::npos) return;
      const std::size_t length = std::strtoul(client->bytes.c_str(), nullptr, 10);
      if (client->bytes.size() < space + 1 + length) return;
      const std::lock_guard lock(mutex_);
      messages_.push_back(client->bytes.substr(space + 1, length));
      client->bytes.erase(0, space + 1 + length);
    }
  }

  void drop(std::vector<Client>::iterator client) {
    ::close(client->socket);
    clients_.erase(client);
  }

  int listening_;
  std::uint16_t port_ = 0;
  std::vector<Client> clients_;  // of the thread
  std::atomic<std::size_t> connections_ = 0;
  std::atomic<bool> stopping_ = false;
  mutable std::mutex mutex_;
  std::vector<std::string> messages_;
  std::thread thread_;
};

// The XML of a syslog message.
inline std::string xml_of(const std::string& message) {
  const std::size_t begin = message.find("<?xml");
  return begin == std::string::npos ? "" : message.substr(begin);
}

}  // namespace sluice::test
