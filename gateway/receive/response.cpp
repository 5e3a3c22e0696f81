#include "gateway/receive/response.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <exception>
#include <utility>

#include "gateway/base/counter.h"

namespace sluice {
namespace {

namespace command = net::command;
using net::Ended;

constexpr std::array kUids = {command::kAffectedSopClassUid, command::kAffectedSopInstanceUid};
// With both UIDs and a comment of 64 characters each.
constexpr std::size_t kLongestResponse = 512;
constexpr std::size_t kLongestUid = 64;

// One PDU takes it, and no TLS session, which one thread at a time may use.
bool is_plain(const net::Association& association, const net::CommandSet& request) {
  return association.connection().tls() == nullptr &&
         association.max_pdv_data() >= kLongestResponse &&
         std::ranges::all_of(
             kUids, [&](std::uint16_t uid) { return request.text(uid).size() <= kLongestUid; });
}

tl::unexpected<Ended> unwritten(std::string reason) {
  return tl::unexpected<Ended>(Ended{Ended::Kind::connection, std::move(reason)});
}

}  // namespace

net::CommandSet response_to(const net::CommandSet& request, const Reply& reply) {
  net::CommandSet response;
  const auto field = request.number(command::kCommandField).value_or(0);
  response.set_number(command::kCommandField,
                      static_cast<std::uint16_t>(field | command::kResponse));
  response.set_number(command::kMessageIdBeingRespondedTo,
                      request.number(command::kMessageId).value_or(0));
  response.set_number(command::kCommandDataSetType, command::kNoDataSet);
  response.set_number(command::kStatus, reply.status);
  for (const auto element : kUids) {
    if (request.has(element)) response.set_uid(element, request.text(element));
  }
  if (!reply.comment.empty()) {
    response.set_text(command::kErrorComment, net::comment_text(reply.comment));
  }
  return response;
}

Response::Response(net::Association& association, net::ReceivedCommand request)
    : association_(association),
      request_(std::move(request)),
      others_write_(is_plain(association_, request_.set)) {}

Response::~Response() {
  std::unique_lock lock(mutex_);
  given_.wait(lock, [this] { return !is_expected_; });
}

void Response::expect() {
  const std::lock_guard lock(mutex_);
  is_expected_ = true;
}

// Notified with the lock, behind which this may be gone.
void Response::give(Reply reply) noexcept {
  const bool writes = others_write_ && std::this_thread::get_id() != thread_;
  net::Received<void> written;
  if (writes) written = write_now(reply);
  // The association's thread waits for a message that may never come.
  if (!written) association_.connection().shut_down();
  const std::lock_guard lock(mutex_);
  written_ = std::move(written);
  if (!writes) to_write_ = std::move(reply);
  is_expected_ = false;
  given_.notify_one();
}

bool Response::comes_by_itself() {
  const std::lock_guard lock(mutex_);
  return is_expected_ && others_write_;
}

net::Received<void> Response::await() {
  std::unique_lock lock(mutex_);
  given_.wait(lock, [this] { return !is_expected_; });
  if (!to_write_) return written_;
  const auto written =
      association_.write_command(request_.context_id, response_to(request_.set, *to_write_));
  if (!written) return unwritten(written.error().message);
  note(to_write_->status);
  return {};
}

net::Received<void> Response::write_now(const Reply& reply) const {
  try {
    const auto written =
        association_.write_command_now(request_.context_id, response_to(request_.set, reply));
    if (!written) return unwritten(written.error().message);
    note(reply.status);
    return {};
  } catch (const std::exception&) {
    return unwritten("no memory");
  }
}

// How long it took from the command on. The status may be a destination's own, and a label must
// stay bounded.
void Response::note(std::uint16_t status) const {
  const auto took = std::chrono::steady_clock::now() - begun_;
  static const Histogram success("sluice_ack_seconds", {{"status", "0000"}});
  if (status == status::kSuccess) return success.observe(took);
  std::array<char, 5> text{};  // "A7xx"
  static_cast<void>(std::snprintf(text.data(), text.size(), "%02Xxx", status >> 8U));
  Histogram("sluice_ack_seconds", {{"status", text.data()}}).observe(took);
}

}  // namespace sluice
