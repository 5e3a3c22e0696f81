#include "gateway/metrics/endpoint.h"

#include <chrono>
#include <exception>
#include <list>
#include <thread>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/steady_timer.hpp>

#include "gateway/base/counter.h"
#include "gateway/base/log.h"
#include "gateway/metrics/exchange.h"

namespace sluice::metrics {
namespace {

using boost::asio::ip::tcp;
using Code = boost::system::error_code;

constexpr std::chrono::milliseconds kPauseWithoutDescriptors{100};

tl::unexpected<Error> cannot_listen(const config::Metrics& config, const Code& error) {
  return failure(ErrorCode::configuration, "[metrics] cannot listen on " + config.address +
                                               " port " + std::to_string(config.port) + ": " +
                                               error.message() + "; give it another port");
}

}  // namespace

class Endpoint::State {
 public:
  State(Trouble trouble, Limits limits) : trouble_(std::move(trouble)), limits_(limits) {}
  ~State() {
    context_.stop();
    if (thread_.joinable()) thread_.join();
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  Result<void> start(const config::Metrics& config);
  [[nodiscard]] std::uint16_t port() const { return port_; }

 private:
  void run() noexcept;
  void accept();
  void accept_later();
  void take(tcp::socket socket);
  [[nodiscard]] Page page(std::string_view path) const;
  void forget(const Exchange& ended) {
    exchanges_.remove_if([&](const auto& each) { return each.get() == &ended; });
  }

  const Trouble trouble_;
  const Limits limits_;
  const Exchange::GetPage get_page_ = [this](std::string_view path) { return page(path); };
  const Exchange::Ended ended_ = [this](const Exchange& ended) { forget(ended); };
  std::uint16_t port_ = 0;
  boost::asio::io_context context_{1};
  tcp::acceptor acceptor_{context_};
  boost::asio::steady_timer pause_{context_};
  std::list<std::shared_ptr<Exchange>> exchanges_;  // oldest first
  bool is_accepting_ = false;
  std::thread thread_;
};

Result<void> Endpoint::State::start(const config::Metrics& config) {
  Code error;
  const tcp::endpoint place(boost::asio::ip::make_address(config.address, error), config.port);
  if (!error) acceptor_.open(place.protocol(), error);
  if (!error) acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error && place.address().is_v6() && place.address().is_unspecified()) {
    acceptor_.set_option(boost::asio::ip::v6_only(false), error);
  }
  if (!error) acceptor_.bind(place, error);
  if (!error) acceptor_.listen(tcp::acceptor::max_listen_connections, error);
  if (!error) port_ = acceptor_.local_endpoint(error).port();
  if (error) return cannot_listen(config, error);
  thread_ = std::thread([this] { run(); });
  log::info("metrics are shown", {{"address", config.address}, {"port", port_}});
  return {};
}

// An exception is want of memory, and passes.
void Endpoint::State::run() noexcept {
  while (!context_.stopped()) {
    try {
      if (!is_accepting_) accept();
      context_.run();
    } catch (const std::exception&) {
      // Nothing tells when there are some again.
      std::this_thread::sleep_for(kPauseWithoutDescriptors);
    }
  }
}

void Endpoint::State::accept() {
  acceptor_.async_accept([this](const Code& error, tcp::socket socket) {
    is_accepting_ = false;
    if (!error) take(std::move(socket));
    if (error && error != boost::asio::error::connection_aborted) return accept_later();
    accept();
  });
  is_accepting_ = true;
}

// There are no descriptors just now; the others need them more.
void Endpoint::State::accept_later() {
  pause_.expires_after(kPauseWithoutDescriptors);
  pause_.async_wait([this](const Code&) { accept(); });
  is_accepting_ = true;
}

void Endpoint::State::take(tcp::socket socket) {
  while (exchanges_.size() >= limits_.connections) {
    exchanges_.front()->drop();
    exchanges_.pop_front();
  }
  exchanges_.push_back(std::make_shared<Exchange>(std::move(socket), get_page_, ended_));
  exchanges_.back()->start(limits_.deadline);
}

Page Endpoint::State::page(std::string_view path) const {
  using boost::beast::http::status;
  if (path == "/metrics") return {status::ok, counters_text()};
  if (path == "/health") {
    const std::string trouble = trouble_();
    if (trouble.empty()) return {status::ok, "ok\n"};
    return {status::service_unavailable, trouble + "\n"};
  }
  return {status::not_found, "there is /metrics and /health\n"};
}

Endpoint::Endpoint(std::unique_ptr<State> state) : state_(std::move(state)) {}
Endpoint::~Endpoint() = default;

Result<std::unique_ptr<Endpoint>> Endpoint::start(const config::Metrics& config, Trouble trouble,
                                                  Limits limits) {
  auto state = std::make_unique<State>(std::move(trouble), limits);
  if (auto started = state->start(config); !started) return tl::unexpected(started.error());
  return std::unique_ptr<Endpoint>(new Endpoint(std::move(state)));
}

std::uint16_t Endpoint::port() const {
  return state_->port();
}

}  // namespace sluice::metrics
