#include "filters/reject/reject.h"

#include <cstdint>
#include <string>
#include <utility>

#include "gateway/pipeline/condition.h"

namespace sluice {
namespace {

// PS3.4 Table B.2-1: Out of Resources, Data Set does not match SOP Class, Cannot Understand.
bool is_refusal(std::int64_t status) {
  return (status >= 0xA700 && status <= 0xA7FF) || (status >= 0xA900 && status <= 0xA9FF) ||
         (status >= 0xC000 && status <= 0xCFFF);
}

class RejectWhen : public Filter {
 public:
  RejectWhen(Condition when, std::uint16_t status, std::string reason)
      : when_(std::move(when)), status_(status), reason_(std::move(reason)) {}

  Result<Verdict> apply(Instance& instance, Ledger& /*ledger*/) const override {
    if (!when_.holds(instance)) return Pass{};
    return Reject{status_, reason_};
  }

 private:
  Condition when_;
  std::uint16_t status_;
  std::string reason_;
};

}  // namespace

std::unique_ptr<Filter> make_reject(config::Table& options, const FilterContext& context) {
  Condition when = Condition::read_option(options);
  constexpr std::int64_t kCannotUnderstand = 0xC000;
  const std::int64_t status = options.integer("status", kCannotUnderstand, 0, 0xFFFF);
  if (!is_refusal(status)) {
    options.mistake("status",
                    "status must be a refusal of PS3.4 B.2.3: 0xA700 to 0xA7FF (the sender may try "
                    "again later), 0xA900 to 0xA9FF or 0xC000 to 0xCFFF");
  }
  std::string reason = options.string("reason", "refused by " + context.name);
  constexpr std::size_t kLongestComment = 64;  // Error Comment (0000,0902), LO
  if (reason.size() > kLongestComment) {
    options.mistake("reason", "reason must have at most 64 characters: it is the Error Comment");
  }
  return std::make_unique<RejectWhen>(std::move(when), static_cast<std::uint16_t>(status),
                                      std::move(reason));
}

}  // namespace sluice
