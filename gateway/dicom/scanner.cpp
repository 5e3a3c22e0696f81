#include <algorithm>
#include <string>
#include <utility>

#include "gateway/dicom/deflate.h"
#include "gateway/dicom/header.h"
#include "gateway/dicom/walker.h"

namespace sluice::dicom {

// Puts the inflation, where there is any, before the walk.
class Scanner::State {
 public:
  State(TransferSyntax transfer_syntax, ScanLimits limits)
      : inflater_(transfer_syntax.deflated
                      ? std::make_optional<Inflater>(limits.inflated, limits.inflate_ratio)
                      : std::nullopt),
        header_ratio_(std::max<std::uint64_t>(limits.header_inflate_ratio, 1)),
        walker_(std::move(transfer_syntax), limits) {}

  [[nodiscard]] Result<void> feed(std::span<const std::byte> bytes) {
    if (!inflater_) return walker_.feed(bytes);
    deflated_ += bytes.size();
    auto fed = inflater_->inflate(
        bytes, [this](std::span<const std::byte> inflated) { return walk(inflated); });
    if (!fed && !error_) error_ = fed.error();
    if (error_) return tl::unexpected(*error_);
    return {};
  }

  [[nodiscard]] bool header_complete() const { return walker_.header_complete(); }

  [[nodiscard]] Result<Header> finish() {
    if (error_) return tl::unexpected(*error_);
    if (inflater_ && !inflater_->finished()) {
      return failure(ErrorCode::corrupt, "the deflated data set ends before the end of its stream");
    }
    return walker_.finish();
  }

  [[nodiscard]] Result<Header> finish_header() const {
    if (error_) return tl::unexpected(*error_);
    return walker_.finish_header();
  }

 private:
  // What was inflated. The ratio counts before the values are kept.
  [[nodiscard]] Result<void> walk(std::span<const std::byte> bytes) {
    inflated_ += bytes.size();
    if (!walker_.header_complete() && inflated_ > Inflater::kRatioFrom &&
        inflated_ / header_ratio_ > deflated_) {
      return failure(ErrorCode::corrupt,
                     "the data set before its pixel data inflates to more than " +
                         std::to_string(header_ratio_) + " times its size");
    }
    return walker_.feed(bytes);
  }

  std::optional<Inflater> inflater_;
  std::uint64_t header_ratio_;
  std::uint64_t deflated_ = 0;
  std::uint64_t inflated_ = 0;
  Walker walker_;
  std::optional<Error> error_;  // the first of inflation
};

Scanner::Scanner(TransferSyntax transfer_syntax, ScanLimits limits)
    : state_(std::make_unique<State>(std::move(transfer_syntax), limits)) {}
Scanner::~Scanner() = default;
Scanner::Scanner(Scanner&&) noexcept = default;
Scanner& Scanner::operator=(Scanner&&) noexcept = default;

Result<void> Scanner::feed(std::span<const std::byte> bytes) {
  return state_->feed(bytes);
}
bool Scanner::header_complete() const {
  return state_->header_complete();
}
Result<Header> Scanner::finish() {
  return state_->finish();
}
Result<Header> Scanner::finish_header() {
  return std::as_const(*state_).finish_header();
}

Result<Header> scan(std::span<const std::byte> data_set, const TransferSyntax& syntax,
                    const ScanLimits& limits) {
  Scanner scanner(syntax, limits);
  if (auto fed = scanner.feed(data_set); !fed) return tl::unexpected(fed.error());
  return scanner.finish();
}

}  // namespace sluice::dicom
