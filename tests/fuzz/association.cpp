// A whole association against a peer that sends any bytes behind a request which the check
// let pass: dcmnet must take the request, leak nothing, and give each PDV as it was sent.
#include "gateway/net/association.h"

#include <algorithm>
#include <string>
#include <vector>

#include "tests/fuzz/input.h"
#include "tests/fuzz/peer.h"
#include "tests/fuzz/quiet.h"
#include "tests/fuzz/targets.h"

namespace sluice::fuzz {
namespace {

constexpr std::size_t kLongestStream = 16UL * 1024;
constexpr std::uint32_t kMaxPdu = 16'384;

std::size_t number_at(Bytes bytes, std::size_t offset) {
  std::size_t number = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    number = number << 8U | std::to_integer<std::size_t>(bytes[offset + i]);
  }
  return number;
}

// The PDVs of the P-DATA-TF PDUs at the front of a stream, up to what breaks a rule.
std::vector<net::Pdv> pdvs_of(Bytes stream) {
  std::vector<net::Pdv> pdvs;
  while (stream.size() >= 6 && stream[0] == std::byte{4}) {
    std::size_t left = number_at(stream, 2);
    if (left > kMaxPdu) break;
    stream = stream.subspan(6);
    while (left > 0) {
      if (left < 6 || stream.size() < 6) return pdvs;
      const std::size_t length = number_at(stream, 0);
      if (length < 2 || length > left - 4 || length > stream.size() - 4) return pdvs;
      const auto control = std::to_integer<unsigned>(stream[5]);
      pdvs.push_back({std::to_integer<std::uint8_t>(stream[4]), (control & 1U) != 0,
                      (control & 2U) != 0, stream.subspan(6, length - 2)});
      stream = stream.subspan(4 + length);
      left -= 4 + length;
    }
  }
  return pdvs;
}

void check_contexts(const net::Association& association,
                    const std::vector<net::NegotiatedContext>& negotiated) {
  std::size_t accepted = 0;
  for (const net::NegotiatedContext& context : negotiated) {
    if (context.result != net::ContextResult::accepted) continue;
    ++accepted;
    const net::AcceptedContext* const found = association.find_context(context.id);
    require(found != nullptr && found->transfer_syntax == context.transfer_syntax,
            "what was negotiated is accepted");
  }
  require(association.contexts().size() == accepted, "nothing else is accepted");
}

void check_pdvs(net::Association& association, Bytes stream) {
  const auto expected = pdvs_of(stream);
  for (std::size_t i = 0;; ++i) {
    association.connection().await_message();
    const auto pdv = association.next_pdv();
    if (!pdv) {
      require(!pdv.error().reason.empty(), "an end has a reason");
      return;
    }
    require(i < expected.size(), "no PDV comes that was not sent");
    require(pdv->context_id == expected[i].context_id &&
                pdv->is_command == expected[i].is_command && pdv->is_last == expected[i].is_last,
            "a PDV has the head it was sent with");
    require(std::ranges::equal(pdv->data, expected[i].data),
            "a PDV has the bytes it was sent with");
    require(association.find_context(pdv->context_id) != nullptr, "its context was accepted");
  }
}

void check_commands(net::Association& association) {
  for (;;) {
    association.connection().await_message();
    const auto command = association.next_command();
    if (!command) {
      require(!command.error().reason.empty(), "an end has a reason");
      return;
    }
    const auto length = command->set.encode().size();
    require(length <= net::kMaxCommandSet + 12, "a command set has 16 KiB at most");
  }
}

}  // namespace

void association(Bytes bytes) {
  keep_quiet();
  Input input(bytes);
  const Bytes subject = input.subject();
  if (subject.size() < 6 || net::pdu_length(subject) > subject.size()) return;
  const Bytes head = subject.first(net::pdu_length(subject));
  const auto request = net::parse_associate_request(head);
  if (!request || request->unsupported) return;
  // The acceptor rejects these, too.
  if (request->called_ae_title.empty() || request->calling_ae_title.empty()) return;
  Bytes stream = subject.subspan(head.size());
  stream = stream.first(std::min(stream.size(), kLongestStream));
  const Bytes first = stream.first(std::min(stream.size(), input.number()));
  std::vector<Bytes> pieces;
  if (!first.empty()) pieces.push_back(first);
  if (first.size() < stream.size()) pieces.push_back(stream.subspan(first.size()));
  const SilentPeer peer({head.begin(), head.end()}, pieces);

  const auto negotiated = net::negotiate(request->contexts, {});
  auto association = net::Association::accept(peer.connection(), negotiated, kMaxPdu);
  require(association.has_value(), "dcmnet takes what the check let pass",
          [&] { return association.error().message; });
  check_contexts(*association, negotiated);
  if (input.yes()) {
    check_commands(*association);
  } else {
    check_pdvs(*association, stream);
  }
}

}  // namespace sluice::fuzz
