// Instances as a sender has them, made from a number, and what a PACS may find changed.
#pragma once

#include <cstdint>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>

#include "tests/support/raw_peer.h"

namespace sluice::test {

struct Generated {
  std::string sop_instance_uid;
  std::string series_instance_uid;
  std::string data_set;  // Implicit VR Little Endian
};

inline const std::string kGeneratedRoot = "1.2.826.0.1.3680043.10.99.";

// 20 instances a series, two series a study, and both say that they are number 1.
inline Generated generated_instance(std::uint64_t number) {
  const auto data_element = [](std::size_t group, std::size_t element, std::string value,
                               char padding) {
    if (value.size() % 2 != 0) value.push_back(padding);
    return little16(group) + little16(element) + little32(value.size()) + value;
  };
  const std::uint64_t series = number / 20;
  Generated made{kGeneratedRoot + "3." + std::to_string(number),
                 kGeneratedRoot + "2." + std::to_string(series),
                 {}};
  std::minstd_rand random(static_cast<std::uint32_t>(number + 1));
  // Mostly small, now and then more than is kept in memory.
  std::string pixels(number % 50 == 49 ? 900'000 : 200 + random() % 8'000, '\0');
  for (char& pixel : pixels) pixel = static_cast<char>(random() >> 8U);
  made.data_set =
      data_element(0x0008, 0x0016, kCtStorage, '\0') +
      data_element(0x0008, 0x0018, made.sop_instance_uid, '\0') +
      data_element(0x0008, 0x0060, "CT", ' ') + data_element(0x0010, 0x0020, "SOAK", ' ') +
      data_element(0x0020, 0x000D, kGeneratedRoot + "1." + std::to_string(series / 2), '\0') +
      data_element(0x0020, 0x000E, made.series_instance_uid, '\0') +
      data_element(0x0020, 0x0011, "1", ' ') +
      data_element(0x0020, 0x0013, std::to_string(number % 20 + 1), ' ') +
      data_element(0x7FE0, 0x0010, pixels, '\0');
  return made;
}

struct Split {
  std::string series_number;
  std::string rest;  // the data set without it
};

// Takes Series Number (0020,0011) out of a data set as generated_instance() makes it.
inline Split without_series_number(const std::string& data_set) {
  const auto number = [&](std::size_t at, int bytes) {
    std::size_t value = 0;
    for (int i = bytes - 1; i >= 0; --i) {
      value =
          value << 8U | static_cast<unsigned char>(data_set.at(at + static_cast<std::size_t>(i)));
    }
    return value;
  };
  for (std::size_t at = 0; at + 8 <= data_set.size();) {
    const std::size_t length = number(at + 4, 4);
    if (number(at, 2) == 0x0020 && number(at + 2, 2) == 0x0011) {
      return {data_set.substr(at + 8, length),
              data_set.substr(0, at) + data_set.substr(at + 8 + length)};
    }
    at += 8 + length;
  }
  throw std::runtime_error("a data set without Series Number");
}

// One association that stores; broken when the gateway dies.
class Sender {
 public:
  // Throws when nobody listens.
  explicit Sender(std::uint16_t port, const std::string& calling = "SENDER")
      : peer_(RawPeer::connect(port)) {
    RequestParts parts;
    parts.calling = calling;
    parts.contexts = context_item(1, kCtStorage, {kImplicit});
    if (!peer_.send(parts.bytes()) || peer_.receive_pdu().substr(0, 1) != "\2") {
      throw std::runtime_error("no association");
    }
  }

  // The status of the answer; nullopt: there was none, and the instance may be there.
  std::optional<std::size_t> store(const Generated& instance) {
    const std::size_t message_id = ++messages_ & 0xFFFFU;
    std::string bytes = data_pdu(
        pdv(1, true, true, store_request(kCtStorage, instance.sop_instance_uid, message_id)));
    constexpr std::size_t kPiece = 16'000;
    for (std::size_t at = 0; at < instance.data_set.size(); at += kPiece) {
      const bool last = at + kPiece >= instance.data_set.size();
      bytes += data_pdu(pdv(1, false, last, instance.data_set.substr(at, kPiece)));
    }
    if (!peer_.send(bytes)) return std::nullopt;
    const std::string answer = peer_.receive_pdu();
    // (0000,0900) US stands behind its 8 bytes of tag and length.
    const std::size_t at = answer.find(little16(0) + little16(0x0900) + little32(2));
    if (answer.empty() || answer[0] != 4 || at == std::string::npos) return std::nullopt;
    return static_cast<unsigned char>(answer.at(at + 8)) |
           std::size_t{static_cast<unsigned char>(answer.at(at + 9))} << 8U;
  }

  void release() const {
    if (peer_.send(release_request())) static_cast<void>(peer_.receive_pdu());
  }

 private:
  RawPeer peer_;
  std::size_t messages_ = 0;
};

}  // namespace sluice::test
