// The PDUs that Sluice writes itself, and the numbers in them (PS3.8 9.3).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::net {

inline constexpr std::size_t kPduHeaderLength = 6;

enum class PduType : std::uint8_t {
  associate_request = 1,
  associate_accept = 2,
  associate_reject = 3,
  data = 4,
  release_request = 5,
  release_response = 6,
  abort = 7,
};

// Length of the whole PDU, header included, from its first 6 bytes.
[[nodiscard]] std::uint64_t pdu_length(std::span<const std::byte> header);

// A-ASSOCIATE-RJ (PS3.8 9.3.4).
struct Rejection {
  enum Result : std::uint8_t { permanent = 1, transient = 2 };
  enum Source : std::uint8_t { user = 1, provider_acse = 2, provider_presentation = 3 };

  std::uint8_t result = permanent;
  std::uint8_t source = user;
  std::uint8_t reason = 1;
};

inline constexpr Rejection kApplicationContextNotSupported{Rejection::permanent, Rejection::user,
                                                           2};
inline constexpr Rejection kNoReasonGiven{Rejection::permanent, Rejection::user, 1};
inline constexpr Rejection kCallingAeTitleNotRecognized{Rejection::permanent, Rejection::user, 3};
inline constexpr Rejection kCalledAeTitleNotRecognized{Rejection::permanent, Rejection::user, 7};
inline constexpr Rejection kProtocolVersionNotSupported{Rejection::permanent,
                                                        Rejection::provider_acse, 2};
inline constexpr Rejection kTemporaryCongestion{Rejection::transient,
                                                Rejection::provider_presentation, 1};
inline constexpr Rejection kLocalLimitExceeded{Rejection::transient,
                                               Rejection::provider_presentation, 2};

// "calling AE title not recognized", in the standard's words.
[[nodiscard]] std::string_view reason_text(const Rejection& rejection);
// "service user", in the standard's words.
[[nodiscard]] std::string_view source_text(const Rejection& rejection);

[[nodiscard]] std::array<std::byte, 10> encode(const Rejection& rejection);

// A-ABORT (PS3.8 9.3.8).
struct Abort {
  std::uint8_t source = 0;  // 0: the service user, 2: the service provider
  std::uint8_t reason = 0;  // of the provider
};

inline constexpr Abort kAbortByUser{0, 0};
inline constexpr Abort kAbortUnexpectedPdu{2, 2};
inline constexpr Abort kAbortInvalidParameter{2, 6};

[[nodiscard]] std::array<std::byte, 10> encode(const Abort& abort);

// P-DATA-TF with one PDV, the last of a command (PS3.8 9.3.5, Annex E.2).
[[nodiscard]] std::vector<std::byte> encode_command(std::uint8_t context_id,
                                                    std::span<const std::byte> command_set);

}  // namespace sluice::net
