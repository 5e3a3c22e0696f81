#include "gateway/metrics/exchange.h"

#include <exception>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/write.hpp>

#include "gateway/base/log.h"

namespace sluice::metrics {
namespace {

namespace beast = boost::beast;
namespace http = boost::beast::http;

constexpr std::size_t kLargestHead = 8192;
constexpr std::size_t kMostRest = 64UL * 1024;  // bytes behind the request that are read

bool is_too_long(const beast::error_code& error) {
  return error == http::error::header_limit || error == http::error::buffer_overflow;
}

// What came is no HTTP; else the connection failed, and there is nobody to answer.
bool is_broken(const beast::error_code& error) {
  static const auto& category = make_error_code(http::error::bad_method).category();
  return error.category() == category && error != http::error::end_of_stream &&
         error != http::error::partial_message;
}

// An exception is want of memory: it costs this connection, not the endpoint.
template <typename Step, typename End>
void take_step(Step step, End end) noexcept {
  try {
    try {
      return step();
    } catch (const std::exception& error) {
      log::error("a request for metrics failed", {{"reason", error.what()}});
    }
    end();
  } catch (const std::exception&) {
    return;  // its deadline ends it
  }
}

}  // namespace

Exchange::Exchange(boost::asio::ip::tcp::socket socket, const GetPage& get_page, const Ended& ended)
    : stream_(std::move(socket)), get_page_(get_page), ended_(ended), buffer_(kLargestHead) {
  parser_.header_limit(kLargestHead);
}

void Exchange::start(std::chrono::milliseconds deadline) {
  // What ends before its time ends by a reset: the system then keeps nothing for a client
  // that does not read.
  beast::error_code ignored;
  stream_.socket().set_option(boost::asio::socket_base::linger(true, 0), ignored);
  stream_.expires_after(deadline);
  http::async_read_header(stream_, buffer_, parser_,
                          [self = shared_from_this()](beast::error_code error, std::size_t) {
                            take_step([&] { self->on_request(error); }, [&] { self->end(); });
                          });
}

void Exchange::drop() noexcept {
  is_over_ = true;
  stream_.close();
}

void Exchange::end() {
  if (std::exchange(is_over_, true)) return;
  stream_.close();
  ended_(*this);
}

void Exchange::on_request(beast::error_code error) {
  if (is_over_) return;
  if (is_too_long(error)) {
    return answer({http::status::request_header_fields_too_large, "the request is too long\n"});
  }
  if (is_broken(error)) return answer({http::status::bad_request, "this is no HTTP request\n"});
  if (error) return end();
  const auto& request = parser_.get();
  if (request.method() != http::verb::get && request.method() != http::verb::head) {
    response_.set(http::field::allow, "GET, HEAD");
    return answer({http::status::method_not_allowed, "only GET and HEAD are answered here\n"});
  }
  const std::string_view target(request.target().data(), request.target().size());
  answer(get_page_(target.substr(0, target.find('?'))));
}

void Exchange::answer(const Page& page) {
  response_.result(page.status);
  response_.keep_alive(false);
  response_.set(http::field::content_type, "text/plain; version=0.0.4; charset=utf-8");
  response_.set(http::field::cache_control, "no-store");
  response_.content_length(page.text.size());
  const bool is_head = parser_.is_header_done() && parser_.get().method() == http::verb::head;
  if (!is_head) response_.body() = page.text;
  http::async_write(stream_, response_,
                    [self = shared_from_this()](beast::error_code error, std::size_t) {
                      take_step([&] { self->on_written(error); }, [&] { self->end(); });
                    });
}

// Closing with bytes unread would be a reset too, which may overtake the answer: the client
// closes first, or has until the deadline to.
void Exchange::on_written(beast::error_code error) {
  if (is_over_) return;
  if (!error) stream_.socket().shutdown(boost::asio::ip::tcp::socket::shutdown_send, error);
  if (error) return end();
  read_on();
}

void Exchange::read_on() {
  stream_.async_read_some(boost::asio::buffer(rest_),
                          [self = shared_from_this()](beast::error_code error, std::size_t length) {
                            take_step(
                                [&] {
                                  if (self->is_over_) return;
                                  self->read_on_ += length;
                                  if (error || self->read_on_ > kMostRest) return self->end();
                                  self->read_on();
                                },
                                [&] { self->end(); });
                          });
}

}  // namespace sluice::metrics
