// A DICOM peer made of bytes: it says exactly what a test wants, right or wrong, and
// knows nothing of the code under test (PS3.8 9.3, PS3.7 6.3).
#pragma once

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

namespace sluice::test {

inline std::string big16(std::size_t number) {
  return {static_cast<char>(number >> 8U & 0xFFU), static_cast<char>(number & 0xFFU)};
}
inline std::string big32(std::size_t number) {
  return big16(number >> 16U) + big16(number);
}
inline std::string little16(std::size_t number) {
  return {static_cast<char>(number & 0xFFU), static_cast<char>(number >> 8U & 0xFFU)};
}
inline std::string little32(std::size_t number) {
  return little16(number & 0xFFFFU) + little16(number >> 16U);
}

inline std::string pdu(int type, const std::string& body) {
  return std::string(1, static_cast<char>(type)) + '\0' + big32(body.size()) + body;
}
inline std::string item(int type, const std::string& body) {
  return std::string(1, static_cast<char>(type)) + '\0' + big16(body.size()) + body;
}

inline const std::string kImplicit = "1.2.840.10008.1.2";
inline const std::string kExplicit = "1.2.840.10008.1.2.1";
inline const std::string kVerification = "1.2.840.10008.1.1";
inline const std::string kCtStorage = "1.2.840.10008.5.1.4.1.1.2";
inline const std::string kMrStorage = "1.2.840.10008.5.1.4.1.1.4";

inline std::string context_item(int id, const std::string& abstract_syntax,
                                const std::vector<std::string>& transfer_syntaxes) {
  std::string body = {static_cast<char>(id), 0, 0, 0};
  if (!abstract_syntax.empty()) body += item(0x30, abstract_syntax);
  for (const std::string& uid : transfer_syntaxes) body += item(0x40, uid);
  return item(0x20, body);
}

inline std::string user_information(const std::string& more = "", std::size_t max_pdu = 16384) {
  return item(0x50, item(0x51, big32(max_pdu)) + item(0x52, "1.2.3.4") + more);
}

inline std::string ae_title(std::string title) {
  title.resize(16, ' ');
  return title;
}

struct RequestParts {
  std::string called = "SLUICE";
  std::string calling = "TEST";
  std::size_t version = 1;
  std::string application_context = item(0x10, "1.2.840.10008.3.1.1.1");
  std::string contexts = context_item(1, kVerification, {kImplicit}) +
                         context_item(3, kCtStorage, {kImplicit}) +
                         context_item(5, kMrStorage, {kExplicit, kImplicit});
  std::string user = user_information();
  std::string more;

  [[nodiscard]] std::string body() const {
    return big16(version) + big16(0) + ae_title(called) + ae_title(calling) +
           std::string(32, '\0') + application_context + contexts + user + more;
  }
  [[nodiscard]] std::string bytes() const { return pdu(1, body()); }
};

// An A-ASSOCIATE-AC that accepts these contexts.
inline std::string associate_accept(const std::vector<std::pair<int, std::string>>& contexts,
                                    std::size_t max_pdu = 16384) {
  std::string items = item(0x10, "1.2.840.10008.3.1.1.1");
  for (const auto& [id, syntax] : contexts) {
    items += item(0x21, std::string{static_cast<char>(id), 0, 0, 0} + item(0x40, syntax));
  }
  return pdu(2, big16(1) + big16(0) + ae_title("PACS") + ae_title("SLUICE") +
                    std::string(32, '\0') + items + user_information("", max_pdu));
}

inline std::string pdv(int context, bool command, bool last, const std::string& data) {
  return big32(data.size() + 2) + static_cast<char>(context) +
         static_cast<char>((command ? 1 : 0) | (last ? 2 : 0)) + data;
}
inline std::string data_pdu(const std::string& pdvs) {
  return pdu(4, pdvs);
}

inline std::string element(std::size_t number, std::string value, char padding = '\0') {
  if (value.size() % 2 != 0) value.push_back(padding);
  return little16(0) + little16(number) + little32(value.size()) + value;
}
// Adds the group length.
inline std::string command_set(const std::string& elements) {
  return element(0, little32(elements.size())) + elements;
}
inline std::string store_request(const std::string& sop_class, const std::string& sop_instance,
                                 std::size_t message_id = 1) {
  return command_set(element(0x0002, sop_class) + element(0x0100, little16(1)) +
                     element(0x0110, little16(message_id)) + element(0x0700, little16(0)) +
                     element(0x0800, little16(1)) + element(0x1000, sop_instance));
}
inline std::string store_response(const std::string& sop_class, const std::string& sop_instance,
                                  std::size_t message_id, std::size_t status = 0) {
  return command_set(element(0x0002, sop_class) + element(0x0100, little16(0x8001)) +
                     element(0x0120, little16(message_id)) + element(0x0800, little16(0x0101)) +
                     element(0x0900, little16(status)) + element(0x1000, sop_instance));
}
inline std::string echo_request(std::size_t message_id = 1) {
  return command_set(element(0x0002, kVerification) + element(0x0100, little16(0x0030)) +
                     element(0x0110, little16(message_id)) + element(0x0800, little16(0x0101)));
}

// The Message ID (0000,0110) of a request.
inline std::size_t message_id_of(const std::string& request_pdu) {
  const std::string head = little16(0) + little16(0x0110) + little32(2);
  const std::size_t at = request_pdu.find(head);
  if (at == std::string::npos || at + head.size() + 2 > request_pdu.size()) return 0;
  const auto byte = [&](std::size_t i) {
    return std::size_t{static_cast<unsigned char>(request_pdu[at + head.size() + i])};
  };
  return byte(0) | byte(1) << 8U;
}

// A data set in Implicit VR Little Endian with what the gateway compares.
inline std::string small_data_set(const std::string& sop_class, const std::string& sop_instance) {
  const auto data_element = [](std::size_t group, std::size_t number, std::string value) {
    if (value.size() % 2 != 0) value.push_back('\0');
    return little16(group) + little16(number) + little32(value.size()) + value;
  };
  return data_element(0x0008, 0x0016, sop_class) + data_element(0x0008, 0x0018, sop_instance) +
         data_element(0x0008, 0x0060, "CT") + data_element(0x0010, 0x0020, "ID1 ") +
         data_element(0x0020, 0x000D, "1.2.3.1") + data_element(0x0020, 0x000E, "1.2.3.2");
}

// More than the gateway keeps in memory: while it comes the spool has a file.
inline std::string large_data_set(const std::string& sop_class, const std::string& sop_instance) {
  constexpr std::size_t kPixels = 900'000;
  return small_data_set(sop_class, sop_instance) + little16(0x7FE0) + little16(0x0010) +
         little32(kPixels) + std::string(kPixels, 'p');
}

// The data set in PDUs of 16 KB, behind their command.
inline std::string store_in_pieces(int context, const std::string& command,
                                   const std::string& data_set) {
  constexpr std::size_t kPiece = 16'000;
  std::string bytes = data_pdu(pdv(context, true, true, command));
  for (std::size_t at = 0; at < data_set.size(); at += kPiece) {
    const bool last = at + kPiece >= data_set.size();
    bytes += data_pdu(pdv(context, false, last, data_set.substr(at, kPiece)));
  }
  return bytes;
}

// How the other side ended a connection.
enum class PeerEnd {
  none,      // it did not
  in_order,  // by a FIN; over TLS by a close_notify and a FIN
  cut_off,   // over TLS by a FIN alone
  reset
};

// What carries a peer's bytes: TCP, or something over it.
class RawTransport {
 public:
  RawTransport() = default;
  virtual ~RawTransport() = default;
  RawTransport(const RawTransport&) = delete;
  RawTransport& operator=(const RawTransport&) = delete;

  // How many were taken or given; none, or a negative number, when the other side no
  // longer takes or gives any. Both wait.
  virtual ssize_t send(const char* bytes, std::size_t length) = 0;
  virtual ssize_t receive(char* bytes, std::size_t length) = 0;
  // False when receive() would wait at the end of this time.
  [[nodiscard]] virtual bool wait_readable(std::chrono::milliseconds time) = 0;
  // True once the other side has gone, whatever is still to be read.
  [[nodiscard]] virtual bool is_hung_up() = 0;
  // As if the cable was pulled out and the machine restarted: a reset for the other side.
  virtual void reset() = 0;

  // Known once a call has failed for it.
  [[nodiscard]] PeerEnd end() const { return end_; }

 protected:
  void note_end(PeerEnd end) {
    if (end_ == PeerEnd::none) end_ = end;
  }

 private:
  PeerEnd end_ = PeerEnd::none;
};

class TcpTransport : public RawTransport {
 public:
  explicit TcpTransport(int descriptor) : descriptor_(descriptor) {
    const timeval patience{20, 0};  // for a peer that does not read
    ::setsockopt(descriptor_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
  }
  ~TcpTransport() override { ::close(descriptor_); }
  TcpTransport(const TcpTransport&) = delete;
  TcpTransport& operator=(const TcpTransport&) = delete;

  ssize_t send(const char* bytes, std::size_t length) override {
    const ssize_t sent = ::send(descriptor_, bytes, length, MSG_NOSIGNAL);
    if (sent < 0 && errno == ECONNRESET) note_end(PeerEnd::reset);
    return sent;
  }
  ssize_t receive(char* bytes, std::size_t length) override {
    const ssize_t got = ::recv(descriptor_, bytes, length, 0);
    if (got == 0) note_end(PeerEnd::in_order);
    if (got < 0 && errno == ECONNRESET) note_end(PeerEnd::reset);
    return got;
  }
  [[nodiscard]] bool wait_readable(std::chrono::milliseconds time) override {
    pollfd polled{descriptor_, POLLIN, 0};
    return ::poll(&polled, 1, static_cast<int>(time.count())) > 0;
  }
  [[nodiscard]] bool is_hung_up() override {
    pollfd polled{descriptor_, POLLRDHUP, 0};
    return ::poll(&polled, 1, 0) > 0;
  }
  void reset() override {
    const linger at_once{1, 0};
    ::setsockopt(descriptor_, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
  }
  [[nodiscard]] int descriptor() const { return descriptor_; }

 private:
  int descriptor_;
};

// A TCP connection to a port of this machine. `from` is one of the addresses 127.0.0.0/8.
inline int connected_socket(std::uint16_t port, std::uint32_t from = INADDR_LOOPBACK) {
  const int descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(from);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  const bool bound = from == INADDR_LOOPBACK || ::bind(descriptor, generic, sizeof(address)) == 0;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  // A peer that refuses may reset the connection before connect() has returned: then it was
  // there, and is gone.
  if (!bound || (::connect(descriptor, generic, sizeof(address)) != 0 && errno != ECONNRESET)) {
    const std::string reason = std::strerror(errno);
    ::close(descriptor);
    throw std::runtime_error("cannot connect to port " + std::to_string(port) + ": " + reason);
  }
  return descriptor;
}

class RawPeer {
 public:
  explicit RawPeer(std::unique_ptr<RawTransport> transport) : transport_(std::move(transport)) {}
  explicit RawPeer(int descriptor) : RawPeer(std::make_unique<TcpTransport>(descriptor)) {}
  // From this address of the machine; all of 127.0.0.0/8 are.
  static RawPeer connect(std::uint16_t port, const char* from = "127.0.0.1") {
    return RawPeer(connected_socket(port, ntohl(::inet_addr(from))));
  }

  // False when the other side no longer takes it.
  bool send(const std::string& bytes) const {
    std::size_t sent = 0;
    while (sent < bytes.size()) {
      const ssize_t length =
          transport_ ? transport_->send(bytes.data() + sent, bytes.size() - sent) : -1;
      if (length <= 0) return false;
      sent += static_cast<std::size_t>(length);
    }
    return true;
  }

  // Exactly this many bytes, or fewer when the other side closed or the deadline passed.
  [[nodiscard]] std::string receive(
      std::size_t length, std::chrono::milliseconds deadline = std::chrono::seconds(20)) const {
    std::string bytes;
    const auto limit = std::chrono::steady_clock::now() + deadline;
    while (transport_ && bytes.size() < length) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
          limit - std::chrono::steady_clock::now());
      if (left.count() <= 0 || !transport_->wait_readable(left)) break;
      std::string piece(length - bytes.size(), '\0');
      const ssize_t got = transport_->receive(piece.data(), piece.size());
      if (got <= 0) break;
      bytes += piece.substr(0, static_cast<std::size_t>(got));
    }
    return bytes;
  }

  // A whole PDU; "" when the other side closed instead.
  [[nodiscard]] std::string receive_pdu() const {
    std::string header = receive(6);
    if (header.size() < 6) return {};
    std::size_t length = 0;
    for (std::size_t i = 2; i < 6; ++i) {
      length = length << 8U | static_cast<unsigned char>(header[i]);
    }
    return header + receive(length);
  }

  // The other side has closed, in order or by a reset, before the deadline.
  [[nodiscard]] bool is_closed(
      std::chrono::milliseconds deadline = std::chrono::seconds(20)) const {
    char byte = 0;
    return transport_ && transport_->wait_readable(deadline) && transport_->receive(&byte, 1) <= 0;
  }

  // How the other side has closed, before the deadline; none when more came instead.
  [[nodiscard]] PeerEnd wait_for_end() const {
    if (!transport_) return PeerEnd::none;
    if (transport_->end() != PeerEnd::none) return transport_->end();
    return is_closed() ? transport_->end() : PeerEnd::none;
  }

  // Something to read, or the end, within this time.
  [[nodiscard]] bool has_answer(std::chrono::milliseconds time) const {
    return !transport_ || transport_->wait_readable(time);
  }

  // The other side has closed, or ended its half, though not all may be read yet.
  [[nodiscard]] bool is_hung_up() const { return !transport_ || transport_->is_hung_up(); }

  void close() { transport_.reset(); }
  // Closes by a reset.
  void reset() {
    if (transport_) transport_->reset();
    close();
  }
  // The socket is the caller's from now on.
  [[nodiscard]] int release() {
    const auto* tcp = dynamic_cast<const TcpTransport*>(transport_.get());
    if (tcp == nullptr) throw std::runtime_error("no socket of its own");
    const int descriptor = ::fcntl(tcp->descriptor(), F_DUPFD_CLOEXEC, 0);
    close();
    return descriptor;
  }

 private:
  std::unique_ptr<RawTransport> transport_;
};

// A listener on a free port that accepts peers one by one.
class RawListener {
 public:
  RawListener() : descriptor_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof(address);
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    if (::bind(descriptor_, generic, length) != 0 || ::listen(descriptor_, 16) != 0 ||
        ::getsockname(descriptor_, generic, &length) != 0) {
      throw std::runtime_error("cannot listen");
    }
    port_ = ntohs(address.sin_port);
  }
  ~RawListener() { ::close(descriptor_); }
  RawListener(const RawListener&) = delete;
  RawListener& operator=(const RawListener&) = delete;

  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] int descriptor() const { return descriptor_; }
  [[nodiscard]] RawPeer accept() const { return RawPeer(::accept(descriptor_, nullptr, nullptr)); }

 private:
  int descriptor_;
  std::uint16_t port_ = 0;
};

// A-ABORT and A-ASSOCIATE-RJ as bytes.
inline std::string abort_pdu(int source, int reason) {
  return pdu(7, {0, 0, static_cast<char>(source), static_cast<char>(reason)});
}
inline std::string reject_pdu(int result, int source, int reason) {
  return pdu(3,
             {0, static_cast<char>(result), static_cast<char>(source), static_cast<char>(reason)});
}
inline std::string release_request() {
  return pdu(5, std::string(4, '\0'));
}
inline std::string release_response() {
  return pdu(6, std::string(4, '\0'));
}

}  // namespace sluice::test
