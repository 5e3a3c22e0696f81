#include "gateway/net/transport.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <string>
#include <system_error>
#include <utility>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmnet/assoc.h>
#include <dcmtk/dcmnet/dcmlayer.h>
#include <dcmtk/dcmnet/dcmtrans.h>
#include <dcmtk/dcmnet/dul.h>

#include "gateway/net/associate_request.h"
#include "gateway/net/dcmtk_log.h"
#include "gateway/net/pdv_splitter.h"

namespace sluice::net {
namespace {

// What dcmnet sees of a connection. It closes nothing: when dcmnet gives up, an
// A-ABORT may still have to be sent.
class Adapter final : public DcmTransportConnection {
 public:
  Adapter(std::shared_ptr<Connection> connection, std::uint32_t max_pdu, FileDescriptor spare)
      : DcmTransportConnection(-1),
        connection_(std::move(connection)),
        splitter_(*connection_, max_pdu),
        spare_(std::move(spare)) {}

  // The place of a TLS handshake. The connection that dcmnet made to the hand-over
  // listener has served when this is called.
  OFCondition serverSideHandshake() override { return EC_Normal; }
  OFCondition clientSideHandshake() override {
    spare_.reset();
    return EC_Normal;
  }
  OFCondition renegotiate(const char* /*suite*/) override { return EC_Normal; }

  ssize_t read(void* buffer, size_t length) override {
    return splitter_.read(std::span(static_cast<std::byte*>(buffer), length));
  }
  ssize_t write(void* buffer, size_t length) override {
    return connection_->write(std::span(static_cast<const std::byte*>(buffer), length));
  }
  void close() override {}
  void closeTransportConnection() override {}

  unsigned long getPeerCertificateLength() override { return 0; }
  unsigned long getPeerCertificate(void* /*buffer*/, unsigned long /*length*/) override {
    return 0;
  }

  // dcmnet counts on the wall clock and may ask for a negative time after a step.
  OFBool networkDataAvailable(int timeout) override {
    if (splitter_.has_bytes()) return OFTrue;
    return connection_->wait_readable(std::chrono::seconds(timeout < 0 ? 0 : timeout));
  }
  // dcmnet would poll the socket itself, and has none.
  OFBool isTransparentConnection() override { return OFFalse; }
  OFString& dumpConnectionParameters(OFString& text) override {
    text = "Transport connection: TCP/IP, unencrypted.";
    return text;
  }

 private:
  std::shared_ptr<Connection> connection_;
  PdvSplitter splitter_;
  FileDescriptor spare_;
};

// The sockets that dcmnet is shown: a listener on the loopback address, and one
// connection to it, which every accepted association seems to come from.
struct Sockets {
  FileDescriptor listener;
  FileDescriptor dummy;
  FileDescriptor dummy_peer;
  std::string address;
};

Result<Sockets> open_sockets() {
  const auto failed = [](const char* what) {
    return failure(ErrorCode::configuration,
                   std::string("cannot open a socket on the loopback address 127.0.0.1 (") + what +
                       "): " + std::generic_category().message(errno) +
                       "; the gateway needs it to hand connections to DCMTK");
  };
  Sockets sockets;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(address);
  // The casts are what the socket interface asks for.
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  sockets.listener = FileDescriptor(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!sockets.listener.is_valid()) return failed("socket");
  if (::bind(sockets.listener.get(), generic, length) != 0) return failed("bind");
  if (::listen(sockets.listener.get(), SOMAXCONN) != 0) return failed("listen");
  if (::getsockname(sockets.listener.get(), generic, &length) != 0) return failed("getsockname");
  sockets.address = "127.0.0.1:" + std::to_string(ntohs(address.sin_port));
  sockets.dummy = FileDescriptor(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!sockets.dummy.is_valid()) return failed("socket");
  if (::connect(sockets.dummy.get(), generic, length) != 0) return failed("connect");
  sockets.dummy_peer = FileDescriptor(
      ::accept4(sockets.listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!sockets.dummy_peer.is_valid()) return failed("accept");
  // From here on accepting only clears the queue of what dcmnet connected.
  const int flags = ::fcntl(sockets.listener.get(), F_GETFL, 0);
  if (flags < 0 || ::fcntl(sockets.listener.get(), F_SETFL, flags | O_NONBLOCK) != 0) {
    return failed("fcntl");
  }
  return sockets;
}

// What the next connection of this thread is.
struct Handed {
  std::shared_ptr<Connection> connection;
  std::uint32_t max_pdu = 0;
};

Handed& handed_over() {
  thread_local Handed handed;
  return handed;
}

class Layer final : public DcmTransportLayer {
 public:
  explicit Layer(const Sockets& sockets) : sockets_(sockets) {}

  // Never nullptr: dcmnet would then close the socket it passed, which may be the
  // dummy that all associations share.
  DcmTransportConnection* createConnection(DcmNativeSocketType socket, OFBool /*secure*/) override {
    FileDescriptor spare;
    if (socket != sockets_.dummy.get()) {
      spare = FileDescriptor(socket);
      for (;;) {
        const FileDescriptor waiting(
            ::accept4(sockets_.listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
        if (!waiting.is_valid()) break;
      }
    }
    Handed handed = std::exchange(handed_over(), {});
    if (handed.connection == nullptr) {
      handed.connection = std::make_shared<Connection>(FileDescriptor(), "", Timeouts{});
    }
    return std::make_unique<Adapter>(std::move(handed.connection), handed.max_pdu, std::move(spare))
        .release();
  }

 private:
  const Sockets& sockets_;
};

class Dcmnet {
 public:
  Dcmnet() {
    auto sockets = open_sockets();
    if (!sockets) {
      error_ = sockets.error();
      return;
    }
    sockets_ = std::move(*sockets);
    route_dcmtk_log();
    dcmDisableGethostbyaddr.set(OFTrue);
    dcmAssociatePDUSizeLimit.set(kMaxAssociatePdu);
    dcmExternalSocketHandle.set(sockets_.dummy.get());
    // The time-out is never reached: the connection has stricter deadlines.
    const OFCondition made = ASC_initializeNetwork(NET_ACCEPTORREQUESTOR, 0, 3600, &network_);
    if (made.bad()) {
      error_ = Error{ErrorCode::configuration, std::string("DCMTK's network: ") + made.text()};
      return;
    }
    layer_ = std::make_unique<Layer>(sockets_);
    const OFCondition set = ASC_setTransportLayer(network_, layer_.get(), 0);
    if (set.bad()) {
      error_ = Error{ErrorCode::configuration, std::string("DCMTK's network: ") + set.text()};
    }
  }
  ~Dcmnet() { static_cast<void>(ASC_dropNetwork(&network_)); }
  Dcmnet(const Dcmnet&) = delete;
  Dcmnet& operator=(const Dcmnet&) = delete;

  [[nodiscard]] Result<T_ASC_Network*> network() const {
    if (!error_.message.empty()) return tl::unexpected<Error>(error_);
    return network_;
  }
  [[nodiscard]] const char* address() const { return sockets_.address.c_str(); }

 private:
  Sockets sockets_;
  std::unique_ptr<Layer> layer_;
  T_ASC_Network* network_ = nullptr;
  Error error_;
};

Dcmnet& dcmnet() {
  static Dcmnet instance;
  return instance;
}

}  // namespace

Result<T_ASC_Network*> dcmnet_network() {
  return dcmnet().network();
}

const char* hand_over_address() {
  return dcmnet().address();
}

HandOver::HandOver(std::shared_ptr<Connection> connection, std::uint32_t max_pdu) {
  handed_over() = {std::move(connection), max_pdu};
}

HandOver::~HandOver() {
  handed_over() = {};
}

}  // namespace sluice::net
