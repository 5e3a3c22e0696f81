#include "gateway/command/gateway.h"

#include <algorithm>
#include <filesystem>
#include <utility>
#include <vector>

#include <sys/resource.h>

#include "gateway/audit/security_alerts.h"
#include "gateway/base/counter.h"
#include "gateway/base/log.h"
#include "gateway/command/fault.h"
#include "gateway/deliver/payload.h"
#include "gateway/queue/disk_reserve.h"
#include "gateway/receive/delivery_rows.h"

namespace sluice::command {
namespace {

constexpr std::size_t kReroutes = 100;  // at once
constexpr std::chrono::minutes kForgettingInterval{10};
// For the last messages to reach their collectors, when draining took all of its time.
constexpr std::chrono::milliseconds kLeastAuditTime{2000};
constexpr std::size_t kNamedDifferences = 20;  // more are counted
constexpr std::size_t kSpareFiles = 64;        // of 1 MiB at most

// One line, however many there are.
void report(std::string_view message, const std::vector<std::string>& ids) {
  if (ids.empty()) return;
  std::string named;
  for (std::size_t i = 0; i < std::min(ids.size(), kNamedDifferences); ++i) {
    named += (i == 0 ? "" : " ") + ids[i];
  }
  log::error(message, {{"count", ids.size()}, {"first", named}});
}

}  // namespace

Result<std::unique_ptr<RunningGateway>> RunningGateway::start(
    const std::shared_ptr<const Setup>& setup, std::vector<net::InheritedSocket> inherited) {
  std::unique_ptr<RunningGateway> gateway(new RunningGateway(setup));
  if (const auto opened = gateway->open_stores(); !opened) return tl::unexpected(opened.error());
  gateway->report_differences();
  if (const auto opened = gateway->open_audit(); !opened) return tl::unexpected(opened.error());
  if (const auto started = gateway->start_network(std::move(inherited)); !started) {
    return tl::unexpected(started.error());
  }
  if (const auto shown = gateway->show_metrics(); !shown) return tl::unexpected(shown.error());
  gateway->certificates_.look();
  if (gateway->recorder_) gateway->recorder_->application_started();
  return gateway;
}

// A database that was closed in order must make its log anew, also on a disk that is full:
// what waits can go out only when the gateway starts.
Result<void> RunningGateway::open_stores() {
  auto opened = try_to_open_stores();
  if (!opened && opened.error().code == ErrorCode::transient &&
      DiskReserve::give_back_of(queue_file(current_.get()->config))) {
    opened = try_to_open_stores();
  }
  return opened;
}

Result<void> RunningGateway::try_to_open_stores() {
  queue_.reset();
  ledger_.reset();
  spool_.reset();
  const auto setup = current_.get();
  const config::Gateway& gateway = setup->config.gateway;
  const auto on_fault = [this](const std::string& reason) { fault(reason); };
  auto spool = Spool::open(
      spool_folder(setup->config),
      {.min_free_space = gateway.min_free_space, .spare_files = kSpareFiles, .on_fault = on_fault});
  if (!spool) return tl::unexpected(spool.error());
  spool_ = std::move(*spool);
  if (const auto lasting = read_fault(gateway.data_dir)) {
    spool_->distrust();
    log::error("storage faulted earlier: nothing is accepted until a person clears it",
               {{"reason", *lasting},
                {"advice", "check disk and file system, then `sluice fault clear`, then restart"}});
  }
  // Before the queue, which takes its reserve at once.
  auto ledger = open_ledger(ledger_file(setup->config), on_fault);
  if (!ledger) return tl::unexpected(ledger.error());
  ledger_ = std::move(*ledger);
  Queue::Hooks hooks;
  hooks.before_commit = [this] { return spool_->sync_directory(); };
  hooks.before_note = [this] { return spool_->sync_removed(); };
  hooks.file_done = [this](const std::string& id) { return spool_->remove(id); };
  hooks.faulted = on_fault;
  auto queue = Queue::open(queue_file(setup->config), std::move(hooks));
  if (!queue) return tl::unexpected(queue.error());
  queue_ = std::move(*queue);
  return {};
}

// One store's trouble is the disk's, and so the trouble of all: the spool, where every
// instance begins, takes no more. Once; the first reason is the cause.
void RunningGateway::fault(const std::string& reason) noexcept {
  if (faulted_.exchange(true)) return;
  spool_->distrust();
  write_fault(data_dir_, reason);
}

RunningGateway::~RunningGateway() {
  stopping_ = true;
  if (checking_.joinable()) checking_.join();
}

// Damage can stand for long where nobody reads. Beside the work, because years of history
// take their time; what is found stops receiving, and what is there goes on being sent.
void RunningGateway::check_databases() noexcept try {
  // First: what comes meanwhile asks the disk.
  if (const auto read = queue_->read_history(stopping_); !read) {
    log::warning("the history is asked of each instance", {{"reason", read.error().message}});
  }
  // Of this thread, in Linux. Images come first; if it fails, they have to share.
  static_cast<void>(::setpriority(PRIO_PROCESS, 0, 19));
  const auto setup = current_.get();
  for (const auto& sound : {check_queue(queue_file(setup->config), stopping_),
                            check_ledger(ledger_file(setup->config), stopping_)}) {
    if (sound) continue;
    if (sound.error().code == ErrorCode::corrupt) {
      fault(sound.error().message);
    } else {
      log::warning("a database was not checked", {{"reason", sound.error().message}});
    }
  }
} catch (const std::exception&) {
  // No memory: damage is found where it is met.
}

// Rows without a file and files without a row: reported, never removed.
void RunningGateway::report_differences() const {
  // What was finished just before a crash has its file still; that goes first.
  const auto flushed = queue_->flush();
  auto unfinished = flushed ? queue_->unfinished_instances() : tl::unexpected(flushed.error());
  if (!unfinished) {
    log::error("the queue cannot be compared with the spool",
               {{"reason", unfinished.error().message}});
    return;
  }
  std::ranges::sort(*unfinished);
  const auto files = spool_->list();
  if (!files) {
    log::error("the queue cannot be compared with the spool", {{"reason", files.error().message}});
    return;
  }
  std::vector<std::string> without_file;
  std::vector<std::string> without_row;
  std::ranges::set_difference(*unfinished, *files, std::back_inserter(without_file));
  std::ranges::set_difference(*files, *unfinished, std::back_inserter(without_row));
  report("the queue has an instance whose file is missing in the spool; it will be held",
         without_file);
  report(
      "the spool has a file that the queue does not know: never acknowledged, or the queue's "
      "database was replaced; send it with dcmsend, or remove it",
      without_row);
  check_sums(*queue_);
  log::info("stores opened", {{"data_dir", data_dir_}, {"waiting", unfinished->size()}});
}

Result<void> RunningGateway::open_audit() {
  const auto setup = current_.get();
  const config::Config& config = setup->config;
  if (config.audit.destinations.empty()) return {};
  const audit::Self self = audit::self_of(config);
  const audit::Source source = audit::source_of(config);
  auto trail = audit::Trail::open(
      audit_file(config), config.audit,
      [self, source](std::uint64_t count, const std::string& reason) {
        return audit::message_of(
            audit::messages_lost(self, count, reason, std::chrono::system_clock::now()), self,
            source);
      });
  if (!trail) return tl::unexpected(trail.error());
  trail_ = std::move(*trail);
  recorder_ = std::make_unique<audit::Recorder>(self, source, *trail_);
  return {};
}

Result<void> RunningGateway::start_network(std::vector<net::InheritedSocket> inherited) {
  dispatcher_ = std::make_unique<Dispatcher>(current_, *spool_, *queue_, *ledger_, recorder_.get());
  server_ = std::make_unique<Server>(
      current_.get(),
      Server::Parts{*spool_, *queue_, *ledger_, audit::security_alerts(recorder_.get()),
                    recorder_.get(), dispatcher_.get()});
  if (auto started = server_->start(std::move(inherited)); !started) return started;
  dispatcher_->start();
  checking_ = std::thread([this] { check_databases(); });
  return {};
}

Result<void> RunningGateway::show_metrics() {
  using std::chrono::system_clock;
  set_gauge("sluice_build_info", {{"version", SLUICE_VERSION}}, 1);
  set_gauge("process_start_time_seconds", {},
            std::chrono::duration<double>(system_clock::now().time_since_epoch()).count());
  const auto setup = current_.get();
  if (!setup->config.metrics) return {};
  auto gauges =
      metrics::QueueGauges::open(queue_file(setup->config), names_of_destinations(setup->config));
  if (!gauges) return tl::unexpected(gauges.error());
  queue_gauges_ = std::move(*gauges);
  auto endpoint = metrics::Endpoint::start(*setup->config.metrics, [this] { return trouble(); });
  if (!endpoint) return tl::unexpected(endpoint.error());
  endpoint_ = std::move(*endpoint);
  return {};
}

// Why nothing is accepted; "": it is. From the endpoint's thread.
std::string RunningGateway::trouble() const {
  if (draining_) return "draining: the gateway is about to end";
  if (const auto fault = read_fault(data_dir_)) {
    return "storage faulted: " + *fault;
  }
  if (!spool_->is_faulted() && !queue_->is_faulted()) return "";
  return "storage faulted: the log says why; the gateway must be restarted";
}

// Here and not where it happens: the store's thread may be there before the trail is.
void RunningGateway::tell_fault() {
  if (!recorder_) return;
  if (faulted_ && !std::exchange(fault_told_, true)) {
    recorder_->storage_failed("file://" + std::filesystem::absolute(data_dir_).string(),
                              read_fault(data_dir_).value_or("storage failed"));
  }
  recorder_->keep_house();
}

void RunningGateway::keep_house() {
  tell_fault();
  const auto entries = queue_->claim_for_reroute(kReroutes);
  if (!entries) {
    log::error("retried instances cannot be routed", {{"reason", entries.error().message}});
  } else {
    std::string last;
    for (const QueueEntry& entry : *entries) {
      if (entry.instance.id != last) route_anew(entry);
      last = entry.instance.id;
    }
  }
  dispatcher_->keep_house();
  age_watch_.look(*queue_);
  certificates_.look();
  const auto now = std::chrono::steady_clock::now();
  if (now - last_forgetting_ < kForgettingInterval) return;
  last_forgetting_ = now;
  const auto forgotten = queue_->forget_before(std::chrono::system_clock::now() -
                                               current_.get()->config.gateway.history);
  check_sums(*queue_);
  if (!forgotten) {
    log::error("old history stays", {{"reason", forgotten.error().message}});
  } else if (*forgotten > 0) {
    log::info("old history removed", {{"instances", *forgotten}});
  }
}

// All that can fail comes first, and the ports last. Then what sends goes by the new one before
// anything new is received, so that no destination of it is missed.
Result<void> RunningGateway::reload(const std::shared_ptr<const Setup>& next) {
  const config::Config& config = next->config;
  Dispatcher::Change lanes = dispatcher_->prepare(*next);
  auto server = server_->prepare(next);
  if (!server) return tl::unexpected(server.error());
  log::set_level(config.gateway.log_level);
  spool_->set_min_free_space(config.gateway.min_free_space);
  current_.set(next);
  dispatcher_->apply(std::move(lanes));
  server_->apply(*server);
  age_watch_.use(config.gateway);
  certificates_ = CertificateWatch(config);
  if (queue_gauges_) queue_gauges_->set_destinations(names_of_destinations(config));
  return {};
}

void RunningGateway::route_anew(const QueueEntry& entry) {
  const auto setup = current_.get();
  const config::Gateway& gateway = setup->config.gateway;
  const auto routed = [&]() -> Result<void> {
    const auto header = read_header(*spool_, entry.instance);
    if (!header) return tl::unexpected(header.error());
    const Provenance provenance = provenance_of(entry.instance);
    auto decision = setup->pipeline->decide(provenance, *header, *ledger_);
    if (!decision) return tl::unexpected(decision.error());
    // It was acknowledged: what would be refused today rests where it is.
    for (RouteDecision& route : decision->routes) {
      if (const auto* reject = std::get_if<Reject>(&route.verdict)) {
        route.verdict = Quarantine{"rejected: " + reject->reason};
      }
    }
    const bool drop = gateway.unrouted == "drop";
    if (auto durable = ledger_->commit(); !durable) return durable;
    SameUidRules rules;
    rules.other_bytes = parse_other_bytes(gateway.other_bytes).value_or(OtherBytes::quarantine);
    rules.new_uid = setup->pipeline->uid_for_other_bytes(entry.instance.sop_instance_uid,
                                                         entry.instance.digest);
    return queue_->reroute(entry.instance.id, delivery_rows(provenance, *decision, drop), rules);
  }();
  if (routed) {
    log::info("routed anew", {{"id", entry.instance.id}});
  } else {
    log::error("cannot be routed anew; it stays in quarantine",
               {{"id", entry.instance.id}, {"reason", routed.error().message}});
  }
}

bool RunningGateway::stop() {
  draining_ = true;
  const auto deadline =
      std::chrono::steady_clock::now() + current_.get()->config.gateway.drain_timeout;
  const auto left = [&] {
    return std::max(std::chrono::milliseconds(0),
                    std::chrono::duration_cast<std::chrono::milliseconds>(
                        deadline - std::chrono::steady_clock::now()));
  };
  server_->stop(left());
  bool ended = dispatcher_->stop(left());
  if (const auto flushed = queue_->flush(); !flushed) {
    log::error("the last outcomes are not written; they will be sent again",
               {{"reason", flushed.error().message}});
  }
  if (recorder_) {
    tell_fault();
    recorder_->application_stopped();
    const auto now = std::chrono::steady_clock::now();
    ended = trail_->stop(std::max(deadline, now + kLeastAuditTime)) && ended;
  }
  endpoint_.reset();
  queue_gauges_.reset();
  log::info("stopped");
  return ended;
}

}  // namespace sluice::command
