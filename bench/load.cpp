// Modalities that cost nothing: many associations, one image sent again and again, each time
// under a UID of its own. The bytes go out of the mapped file, many PDUs in one call.
//
//   bench_load --port 11112 --image ct.dcm --associations 4 --instances 2000
//              [--seconds 5] [--rate 500] [--first 1] [--timeline 100] [--called SLUICE]
//              [--calling BENCH]
//
// The image's SOP Instance UID must end in 15 digits, which are replaced. Prints JSON: what was
// sent in what time, the statuses, the time from the first byte of a C-STORE-RQ (with --rate:
// from when it was due) to the answer, and the longest time without an answer to anyone. With
// --timeline also how many were answered in each interval of so many milliseconds.
#include <algorithm>
#include <atomic>
#include <barrier>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <exception>
#include <fstream>
#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "bench/tally.h"
#include "bench/wire.h"
#include "tests/support/raw_peer.h"

namespace sluice::bench {
namespace {

constexpr std::size_t kDigits = 15;
constexpr std::size_t kHeader = 65536;  // copied for each association; UIDs stand in it

struct Options {
  std::uint16_t port = 0;
  std::string image;
  std::size_t associations = 1;
  std::size_t instances = 100;
  double seconds = 0;  // then no more are begun; 0: until all are sent
  double rate = 0;     // a second, of all; 0: as fast as it goes
  std::uint64_t first = 1;
  std::size_t timeline = 0;  // milliseconds; 0: none
  std::string called = "SLUICE";
  std::string calling = "BENCH";
};

// A Part 10 file, mapped.
class Image {
 public:
  explicit Image(const std::string& path) {
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    struct stat status {};
    if (file < 0 || ::fstat(file, &status) != 0) fail(path);
    const auto size = static_cast<std::size_t>(status.st_size);
    void* const mapped = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, file, 0);
    ::close(file);
    if (mapped == MAP_FAILED || size < 144) fail(path);
    const char* const begin = static_cast<const char*>(mapped);
    const std::size_t meta = 144 + little32_at(begin + 140);
    const std::string head(begin + 132, meta - 132);
    sop_class = meta_value(head, 0x0002);
    sop_instance = meta_value(head, 0x0003);
    transfer_syntax = meta_value(head, 0x0010);
    data = {begin + meta, size - meta};
    const std::string_view start(data.data(), std::min(data.size(), kHeader));
    for (std::size_t at = start.find(sop_instance); at != std::string_view::npos;
         at = start.find(sop_instance, at + 1)) {
      digits.push_back(at + sop_instance.size() - kDigits);
    }
    if (digits.empty()) throw std::runtime_error(path + ": the UID is not in the data set");
  }

  std::string sop_class;
  std::string sop_instance;
  std::string transfer_syntax;
  std::span<const char> data;
  std::vector<std::size_t> digits;  // where they stand in it

 private:
  static std::size_t little32_at(const char* bytes) {
    std::uint32_t number = 0;
    std::memcpy(&number, bytes, sizeof(number));
    return number;
  }
  // Explicit VR Little Endian with a length of 16 bits, as all of these are.
  static std::string meta_value(const std::string& head, std::size_t element) {
    const std::string key = test::little16(2) + test::little16(element) + "UI";
    const std::size_t at = head.find(key);
    if (at == std::string::npos) throw std::runtime_error("the image lacks a UID");
    const std::size_t length = static_cast<unsigned char>(head[at + 6]) |
                               static_cast<std::size_t>(static_cast<unsigned char>(head[at + 7]))
                                   << 8U;
    std::string value = head.substr(at + 8, length);
    while (!value.empty() && value.back() == '\0') value.pop_back();
    return value;
  }
};

// What one association was told.
struct Answers {
  Tally tally;
  std::map<std::size_t, std::size_t> statuses;
  std::string trouble;
};

class Association {
 public:
  Association(const Image& image, const Options& options)
      : image_(image),
        socket_(Socket::connect(options.port)),
        header_(image.data.data(), std::min(image.data.size(), kHeader)) {
    test::RequestParts request;
    request.called = options.called;
    request.calling = options.calling;
    request.contexts = test::context_item(1, image.sop_class, {image.transfer_syntax});
    request.user = test::user_information("", kMaxPdu);
    socket_.write(request.bytes());
    const PduHead head = read_pdu_head(socket_);
    const std::string answer = read_body(socket_, head.length);
    if (head.type != 2) throw std::runtime_error("the association was not accepted");
    cut(most_of(answer));
  }

  // The status that it was answered with.
  std::size_t store(std::uint64_t number) {
    std::string digits = std::to_string(100'000'000'000'000 + number);
    for (const std::size_t at : image_.digits) header_.replace(at, kDigits, digits);
    const std::string uid =
        image_.sop_instance.substr(0, image_.sop_instance.size() - kDigits) + digits;
    message_id_ = message_id_ % 65535 + 1;
    std::string command = test::data_pdu(
        test::pdv(1, true, true, test::store_request(image_.sop_class, uid, message_id_)));
    parts_.clear();
    parts_.push_back({command.data(), command.size()});
    for (std::string& head : heads_) {
      parts_.push_back({head.data(), head.size()});
      add_data(head);
    }
    sent_ = 0;
    socket_.write(parts_);
    return receive();
  }

  void release() {
    socket_.write(test::pdu(5, std::string(4, '\0')));
    const PduHead head = read_pdu_head(socket_);
    socket_.skip(head.length);
  }

 private:
  // Maximum Length Received (PS3.8 D.1) of the A-ASSOCIATE-AC.
  static std::size_t most_of(const std::string& answer) {
    const std::size_t at = answer.find(std::string("\x51\0\0\4", 4));
    const std::size_t most = at == std::string::npos ? 0 : big32_at(answer.data() + at + 4);
    return most == 0 ? kMaxPdu : std::min(most, kMaxPdu);
  }
  // One PDV a PDU.
  void cut(std::size_t most) {
    each_ = most - 6;
    for (std::size_t left = image_.data.size(); left > 0;) {
      const std::size_t now = std::min(left, each_);
      left -= now;
      heads_.push_back(std::string{4, 0} + test::big32(now + 6) + test::big32(now + 2) + '\1' +
                       (left == 0 ? '\2' : '\0'));
    }
  }
  void add_data(const std::string& head) {
    std::size_t length = big32_at(head.data() + 6) - 2;
    while (length > 0) {
      const bool in_header = sent_ < header_.size();
      const std::size_t now = in_header ? std::min(length, header_.size() - sent_) : length;
      // sendmsg() does not write to it. NOLINTNEXTLINE(cppcoreguidelines-pro-type-const-cast)
      char* const body = const_cast<char*>(image_.data.data());
      char* const from = (in_header ? header_.data() : body) + sent_;
      parts_.push_back({from, now});
      sent_ += now;
      length -= now;
    }
  }
  std::size_t receive() {
    const PduHead head = read_pdu_head(socket_);
    const std::string body = read_body(socket_, head.length);
    if (head.type != 4 || body.size() < 6) throw Closed();
    const std::string command = body.substr(6);
    if (command_number(command, 0x0120) != message_id_) throw std::runtime_error("a wrong answer");
    return command_number(command, 0x0900);
  }

  const Image& image_;
  Socket socket_;
  std::string header_;
  std::vector<std::string> heads_;  // of the PDUs of a data set
  std::vector<iovec> parts_;
  std::size_t each_ = 0;
  std::size_t sent_ = 0;
  std::size_t message_id_ = 0;
};

class Run {
 public:
  explicit Run(const Options& options)
      : options_(options),
        image_(options.image),
        answers_(options.associations),
        ready_(static_cast<std::ptrdiff_t>(options.associations) + 1),
        begun_(static_cast<std::ptrdiff_t>(options.associations) + 1) {}

  nlohmann::json run() {
    std::vector<std::thread> threads;
    for (Answers& answers : answers_) threads.emplace_back([this, &answers] { send(answers); });
    ready_.arrive_and_wait();
    begin_ = Clock::now();
    begun_.arrive_and_wait();
    for (std::thread& thread : threads) thread.join();
    return report();
  }

 private:
  void send(Answers& answers) noexcept {
    try {
      std::unique_ptr<Association> association;
      try {
        association = std::make_unique<Association>(image_, options_);
      } catch (const std::exception& error) {
        answers.trouble = error.what();
      }
      ready_.arrive_and_wait();
      begun_.arrive_and_wait();
      if (!association) return;
      for (;;) {
        const std::uint64_t number = next_.fetch_add(1);
        Clock::time_point from = Clock::now();
        if (number >= options_.instances || is_over(from)) break;
        if (options_.rate > 0) {
          from = begin_ + seconds(static_cast<double>(number) / options_.rate);
          if (is_over(from)) break;
          std::this_thread::sleep_until(from);
        }
        ++answers.statuses[association->store(options_.first + number)];
        answers.tally.add(from);
      }
      association->release();
    } catch (const std::exception& error) {
      answers.trouble = error.what();
    }
  }

  static Clock::duration seconds(double count) {
    return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(count));
  }
  [[nodiscard]] bool is_over(Clock::time_point at) const {
    return options_.seconds > 0 && at - begin_ >= seconds(options_.seconds);
  }

  nlohmann::json report() {
    Tally all;
    nlohmann::json trouble = nlohmann::json::array();
    std::map<std::string, std::size_t> statuses;
    for (const Answers& answers : answers_) {
      all.add(answers.tally);
      for (const auto& [status, count] : answers.statuses) {
        statuses[std::to_string(status)] += count;
      }
      if (!answers.trouble.empty()) trouble.push_back(answers.trouble);
    }
    nlohmann::json report = all.report(begin_, image_.data.size(), options_.timeline);
    report["statuses"] = statuses;
    report["trouble"] = trouble;
    return report;
  }

  const Options& options_;
  Image image_;
  std::vector<Answers> answers_;
  std::barrier<> ready_;  // all are connected
  std::barrier<> begun_;  // begin_ is set
  std::atomic<std::uint64_t> next_ = 0;
  Clock::time_point begin_;
};

}  // namespace
}  // namespace sluice::bench

int main(int argc, char** argv) {
  try {
    sluice::bench::Options options;
    CLI::App app("Modalities that send one image again and again");
    app.add_option("--port", options.port)->required();
    app.add_option("--image", options.image)->required();
    app.add_option("--associations", options.associations);
    app.add_option("--instances", options.instances, "of all associations together");
    app.add_option("--seconds", options.seconds, "at most");
    app.add_option("--rate", options.rate, "instances a second; 0: as fast as it goes");
    app.add_option("--first", options.first, "number of the first, for UIDs of its own");
    app.add_option("--timeline", options.timeline, "count the answers of so many milliseconds");
    app.add_option("--called", options.called);
    app.add_option("--calling", options.calling);
    CLI11_PARSE(app, argc, argv);
    const nlohmann::json report = sluice::bench::Run(options).run();
    std::cout << report.dump() << '\n';
    return report.at("trouble").empty() ? 0 : 1;
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
