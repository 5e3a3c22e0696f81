// The check of the A-ASSOCIATE-RQ: what it lets pass is within every limit that dcmnet
// and the rest of the gateway count on.
#include "gateway/net/associate_request.h"

#include <algorithm>
#include <set>
#include <string>

#include "gateway/net/negotiation.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/targets.h"
#include "tests/support/raw_peer.h"

namespace sluice::fuzz {
namespace {

using net::AssociateRequest;

constexpr std::size_t kLongestUid = 64;
constexpr std::size_t kLongestAeTitle = 16;

void check_uid(const std::string& uid) {
  require(!uid.empty() && uid.size() <= kLongestUid, "a UID has 1 to 64 characters");
  require(uid.find('\0') == std::string::npos, "a UID can be a C string");
}

void check_ae_title(const std::string& title) {
  require(title.size() <= kLongestAeTitle, "an AE title has 16 characters at most");
  require(title.find('\0') == std::string::npos, "an AE title can be a C string");
  require(title.empty() || (title.front() != ' ' && title.back() != ' '),
          "an AE title has no spaces around it");
}

void check_contexts(const AssociateRequest& request) {
  require(!request.contexts.empty() && request.contexts.size() <= net::kMaxContexts,
          "there are 1 to 128 presentation contexts");
  std::set<int> ids;
  for (const net::RequestedContext& context : request.contexts) {
    require(context.id % 2 == 1, "ids are odd");
    require(ids.insert(context.id).second, "no id comes twice");
    check_uid(context.abstract_syntax);
    require(!context.transfer_syntaxes.empty() && context.transfer_syntaxes.size() < 256,
            "a context has 1 to 255 transfer syntaxes");
    for (const std::string& uid : context.transfer_syntaxes) check_uid(uid);
  }
}

void check_negotiation(const AssociateRequest& request) {
  const auto answers = net::negotiate(request.contexts, {});
  require(answers.size() == request.contexts.size(), "every context is answered");
  for (std::size_t i = 0; i < answers.size(); ++i) {
    const net::RequestedContext& context = request.contexts[i];
    require(answers[i].id == context.id, "answers stand in the order of the request");
    const bool accepted = answers[i].result == net::ContextResult::accepted;
    const auto found = std::ranges::find(context.transfer_syntaxes, answers[i].transfer_syntax);
    require(accepted == (found != context.transfer_syntaxes.end()),
            "a transfer syntax is one of those asked for");
  }
}

}  // namespace

void associate_request(Bytes bytes) {
  Input input(bytes);
  // Half of the time under a head of ours, so that the length is right.
  std::string pdu(text_of(input.subject()));
  if (input.yes()) pdu = test::pdu(1, pdu);
  const auto request = net::parse_associate_request(bytes_of(pdu));
  if (!request) {
    require(request.error().code == ErrorCode::permanent && !request.error().message.empty(),
            "a refusal says what is wrong");
    return;
  }
  require(pdu.size() <= net::kMaxAssociatePdu, "a request has 256 KiB at most");
  check_ae_title(request->called_ae_title);
  check_ae_title(request->calling_ae_title);
  check_contexts(*request);
  check_negotiation(*request);
  require(request->max_pdu == 0 || request->max_pdu >= 14, "a message fits the maximum length");
  require(request->implementation_class_uid.size() <= kLongestUid, "the class UID is not longer");
  require(request->implementation_version_name.size() <= kLongestUid, "nor is the version name");
  // A cut or longer PDU is another one.
  const std::string cut = pdu.substr(0, input.number() % pdu.size());
  require(!net::parse_associate_request(bytes_of(cut)), "a part of a request is none");
  require(!net::parse_associate_request(bytes_of(pdu + "x")), "more than a request is none");
}

}  // namespace sluice::fuzz
