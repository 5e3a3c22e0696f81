// One connection to the endpoint: a request, its answer, and the end. For endpoint.cpp.
//
// Everything happens in the thread of the socket's io_context.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include <boost/beast/core/error.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

namespace sluice::metrics {

struct Page {
  boost::beast::http::status status = boost::beast::http::status::ok;
  std::string text;
};

class Exchange : public std::enable_shared_from_this<Exchange> {
 public:
  using GetPage = std::function<Page(std::string_view path)>;
  using Ended = std::function<void(const Exchange&)>;

  // `ended` is called once, unless it is dropped before.
  Exchange(boost::asio::ip::tcp::socket socket, const GetPage& get_page, const Ended& ended);

  // Request, answer and the client's end together have until `deadline`.
  void start(std::chrono::milliseconds deadline);
  // Ends it within whatever it is doing.
  void drop() noexcept;

 private:
  void on_request(boost::beast::error_code error);
  void answer(const Page& page);
  void on_written(boost::beast::error_code error);
  void read_on();
  void end();

  boost::beast::tcp_stream stream_;
  const GetPage& get_page_;
  const Ended& ended_;
  boost::beast::flat_buffer buffer_;
  boost::beast::http::request_parser<boost::beast::http::empty_body> parser_;
  boost::beast::http::response<boost::beast::http::string_body> response_;
  std::array<char, 4096> rest_{};
  std::size_t read_on_ = 0;  // bytes behind the request
  bool is_over_ = false;
};

}  // namespace sluice::metrics
