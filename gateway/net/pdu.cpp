#include "gateway/net/pdu.h"

namespace sluice::net {
namespace {

std::array<std::byte, 10> short_pdu(PduType type, std::uint8_t first, std::uint8_t second,
                                    std::uint8_t third) {
  return {std::byte{static_cast<std::uint8_t>(type)},
          std::byte{0},
          std::byte{0},
          std::byte{0},
          std::byte{0},
          std::byte{4},
          std::byte{0},
          std::byte{first},
          std::byte{second},
          std::byte{third}};
}

}  // namespace

std::uint64_t pdu_length(std::span<const std::byte> header) {
  std::uint64_t length = 0;
  for (std::size_t i = 2; i < kPduHeaderLength; ++i) {
    length = (length << 8U) | std::to_integer<std::uint64_t>(header[i]);
  }
  return length + kPduHeaderLength;
}

std::string_view reason_text(const Rejection& rejection) {
  const int key = rejection.source * 10 + rejection.reason;
  switch (key) {
    case 11:
    case 21:
      return "no reason given";
    case 12:
      return "application context name not supported";
    case 13:
      return "calling AE title not recognized";
    case 17:
      return "called AE title not recognized";
    case 22:
      return "protocol version not supported";
    case 31:
      return "temporary congestion";
    case 32:
      return "local limit exceeded";
    default:
      return "reason not in the standard";
  }
}

std::string_view source_text(const Rejection& rejection) {
  switch (rejection.source) {
    case Rejection::user:
      return "service user";
    case Rejection::provider_acse:
      return "service provider, ACSE";
    case Rejection::provider_presentation:
      return "service provider, presentation";
    default:
      return "source not in the standard";
  }
}

std::array<std::byte, 10> encode(const Rejection& rejection) {
  return short_pdu(PduType::associate_reject, rejection.result, rejection.source, rejection.reason);
}

std::array<std::byte, 10> encode(const Abort& abort) {
  return short_pdu(PduType::abort, 0, abort.source, abort.reason);
}

std::vector<std::byte> encode_command(std::uint8_t context_id,
                                      std::span<const std::byte> command_set) {
  constexpr std::byte kLastOfCommand{3};
  std::vector<std::byte> bytes;
  bytes.reserve(kPduHeaderLength + 6 + command_set.size());
  const auto put_length = [&](std::size_t length) {
    for (int shift = 24; shift >= 0; shift -= 8) bytes.push_back(std::byte(length >> shift & 0xFF));
  };
  bytes.push_back(std::byte{static_cast<std::uint8_t>(PduType::data)});
  bytes.push_back(std::byte{0});
  put_length(command_set.size() + 6);
  put_length(command_set.size() + 2);
  bytes.push_back(std::byte{context_id});
  bytes.push_back(kLastOfCommand);
  bytes.insert(bytes.end(), command_set.begin(), command_set.end());
  return bytes;
}

}  // namespace sluice::net
