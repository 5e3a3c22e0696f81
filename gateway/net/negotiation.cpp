#include "gateway/net/negotiation.h"

#include <algorithm>
#include <array>
#include <string_view>

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dcuid.h>

#include "gateway/dicom/transfer_syntax.h"

namespace sluice::net {
namespace {

constexpr std::array<std::string_view, 3> kUncompressed = {
    "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"};

bool is_taken(const std::string& abstract_syntax) {
  if (abstract_syntax == kVerificationSopClassUid) return true;
  if (dcmIsaStorageSOPClassUID(abstract_syntax.c_str(), ESSC_All)) return true;
  return dcmFindNameOfUID(abstract_syntax.c_str(), nullptr) == nullptr;
}

template <typename List>
bool contains(const List& list, const std::string& uid) {
  return std::find(list.begin(), list.end(), uid) != list.end();
}

// What cannot be read is refused here, where the sender can choose another; accepted, each
// instance in it would be refused.
std::string choose(const RequestedContext& context,
                   const std::vector<std::string>& transfer_syntaxes) {
  const bool is_verification = context.abstract_syntax == kVerificationSopClassUid;
  const auto is_allowed = [&](const std::string& uid) {
    if (is_verification) return contains(kUncompressed, uid);
    return dicom::is_readable(uid) &&
           (transfer_syntaxes.empty() || contains(transfer_syntaxes, uid));
  };
  const auto& proposed = context.transfer_syntaxes;
  const auto found = std::find_if(proposed.begin(), proposed.end(), is_allowed);
  return found == proposed.end() ? std::string() : *found;
}

}  // namespace

std::vector<NegotiatedContext> negotiate(const std::vector<RequestedContext>& requested,
                                         const std::vector<std::string>& transfer_syntaxes) {
  std::vector<NegotiatedContext> answers;
  answers.reserve(requested.size());
  for (const RequestedContext& context : requested) {
    NegotiatedContext answer{context.id, ContextResult::accepted, context.abstract_syntax, {}};
    if (!is_taken(context.abstract_syntax)) {
      answer.result = ContextResult::abstract_syntax_not_supported;
    } else {
      answer.transfer_syntax = choose(context, transfer_syntaxes);
      if (answer.transfer_syntax.empty()) {
        answer.result = ContextResult::transfer_syntaxes_not_supported;
      }
    }
    answers.push_back(std::move(answer));
  }
  return answers;
}

}  // namespace sluice::net
