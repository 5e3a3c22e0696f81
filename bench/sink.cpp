// A PACS that costs nothing: takes every instance, looks at none of its bytes, answers.
//
//   bench_sink --port 0 [--delay-ms 5] [--status 0xA700]
//
// Prints "port <n> statistics <m>". Who connects to the second port gets a line
// "<instances> <bytes> <microseconds>": of all that was answered so far, and when the last was,
// on the clock that Python calls monotonic.
#include <atomic>
#include <chrono>
#include <cstdint>
#include <exception>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

#include <CLI/CLI.hpp>

#include "bench/wire.h"
#include "tests/support/raw_peer.h"

namespace sluice::bench {
namespace {

struct Options {
  std::uint16_t port = 0;
  std::uint16_t statistics_port = 0;
  unsigned delay_ms = 0;
  unsigned status = 0;
};

// Of all that was answered.
struct Totals {
  std::atomic<std::uint64_t> instances = 0;
  std::atomic<std::uint64_t> bytes = 0;
  std::atomic<std::int64_t> last = 0;  // microseconds

  void add(std::uint64_t length) {
    last = std::chrono::duration_cast<std::chrono::microseconds>(
               std::chrono::steady_clock::now().time_since_epoch())
               .count();
    bytes += length;
    instances += 1;
  }
};

class Association {
 public:
  Association(Socket socket, const Options& options, Totals& totals)
      : socket_(std::move(socket)), options_(options), totals_(totals) {}

  void serve() {
    for (;;) {
      const PduHead head = read_pdu_head(socket_);
      if (head.type == 1) {
        accept(read_body(socket_, head.length));
      } else if (head.type == 4) {
        take_data(head.length);
      } else {
        socket_.skip(head.length);
        if (head.type == 5) socket_.write(test::pdu(6, std::string(4, '\0')));
        return;
      }
    }
  }

 private:
  // Every context, in the first transfer syntax that is proposed.
  void accept(const std::string& request) {
    std::vector<std::pair<int, std::string>> contexts;
    for (std::size_t at = 68; at + 4 <= request.size();) {
      const std::string inside = item_at(request, at);
      if (request[at] == 0x20) {
        for (std::size_t sub = 4; sub + 4 <= inside.size(); sub += 4 + length_at(inside, sub)) {
          if (inside[sub] != 0x40) continue;
          contexts.emplace_back(inside[0], item_at(inside, sub));
          break;
        }
      }
      at += 4 + inside.size();
    }
    socket_.write(test::associate_accept(contexts, kMaxPdu));
  }
  static std::size_t length_at(const std::string& text, std::size_t at) {
    return std::size_t{static_cast<unsigned char>(text[at + 2])} << 8U |
           static_cast<unsigned char>(text[at + 3]);
  }
  static std::string item_at(const std::string& text, std::size_t at) {
    return text.substr(at + 4, length_at(text, at));
  }

  void take_data(std::size_t length) {
    while (length >= 6) {
      std::array<char, 6> head{};
      socket_.read(head);
      const std::size_t data = big32_at(head.data()) - 2;
      const bool is_last = (head[5] & 2) != 0;
      if ((head[5] & 1) != 0) {
        command_ += read_body(socket_, data);
        if (is_last) commanded(head[4]);
      } else {
        socket_.skip(data);
        received_ += data;
        if (is_last) answer(head[4]);
      }
      length -= 6 + data;
    }
  }

  void commanded(char context) {
    if (command_number(command_, 0x0800) == 0x0101) answer(context);
  }

  void answer(char context) {
    if (options_.delay_ms > 0) {  // a PACS that takes its time
      std::this_thread::sleep_for(std::chrono::milliseconds(options_.delay_ms));
    }
    const std::size_t request = command_number(command_, 0x0100);
    std::string elements = test::element(0x0002, command_value(command_, 0x0002)) +
                           test::element(0x0100, test::little16(request | 0x8000U)) +
                           test::element(0x0120, test::little16(command_number(command_, 0x0110))) +
                           test::element(0x0800, test::little16(0x0101)) +
                           test::element(0x0900, test::little16(options_.status));
    const bool is_store = request == 1;
    if (is_store) elements += test::element(0x1000, command_value(command_, 0x1000));
    socket_.write(test::data_pdu(test::pdv(context, true, true, test::command_set(elements))));
    if (is_store) totals_.add(received_);
    received_ = 0;
    command_.clear();
  }

  Socket socket_;
  const Options& options_;
  Totals& totals_;
  std::string command_;
  std::uint64_t received_ = 0;
};

void serve(Socket socket, const Options& options, Totals& totals) noexcept {
  try {
    Association(std::move(socket), options, totals).serve();
  } catch (const Closed&) {
    return;  // as a PACS sees it each day
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
  }
}

[[noreturn]] void run(const Options& options) {
  const Socket listener = Socket::listen(options.port);
  const Socket statistics = Socket::listen(options.statistics_port);
  std::cout << "port " << listener.port() << " statistics " << statistics.port() << std::endl;
  Totals totals;
  std::thread([&] {
    for (;;) {
      const Socket asker = statistics.accept();
      const std::uint64_t instances = totals.instances;  // first: the rest is then of no less
      asker.write(std::to_string(instances) + " " + std::to_string(totals.bytes) + " " +
                  std::to_string(totals.last) + "\n");
    }
  }).detach();
  for (;;) {
    std::thread(serve, listener.accept(), std::cref(options), std::ref(totals)).detach();
  }
}

}  // namespace
}  // namespace sluice::bench

int main(int argc, char** argv) {
  try {
    sluice::bench::Options options;
    CLI::App app("A PACS that takes everything and keeps nothing");
    app.add_option("--port", options.port, "0: any");
    app.add_option("--statistics-port", options.statistics_port, "0: any");
    app.add_option("--delay-ms", options.delay_ms, "before each answer");
    app.add_option("--status", options.status, "of each answer");
    CLI11_PARSE(app, argc, argv);
    sluice::bench::run(options);
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
