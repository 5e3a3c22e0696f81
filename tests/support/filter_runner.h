// A filter as a route runs it, on data sets in memory and a ledger that is forgotten.
#pragma once

#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>

#include "filters/filters.h"
#include "gateway/dicom/uid.h"
#include "gateway/ledger/ledger.h"
#include "gateway/pipeline/filter.h"
#include "tests/support/data_set.h"

namespace sluice::test {

inline const std::string kSiteKey(64, '5');

// Throws with all mistakes when the options are wrong.
inline std::unique_ptr<Filter> make_filter(std::string_view type, std::string_view options,
                                           const std::string& name = "") {
  for (const FilterType& each : filter_types()) {
    if (each.type != type) continue;
    config::Mistakes mistakes("options");
    config::Table table = config::Table::parse(options, mistakes);
    auto filter = each.make(table, {name.empty() ? std::string(type) : name, kSiteKey});
    table.finish();
    if (!mistakes.empty()) throw std::invalid_argument(mistakes.text());
    return filter;
  }
  throw std::logic_error("no such filter type");
}

inline std::unique_ptr<Ledger> memory_ledger() {
  auto ledger = preview_ledger("/nonexistent/ledger.db");
  if (!ledger) throw std::runtime_error(ledger.error().message);
  return std::move(*ledger);
}

inline constexpr Time kReceivedAt{std::chrono::seconds(1'790'000'000)};

inline Provenance provenance_for(const dicom::Header& header, Time received_at = kReceivedAt) {
  const auto uid = [&](dicom::Tag tag) {
    const auto index = header.find(tag);
    const auto value = index ? header.value(*index) : std::nullopt;
    return std::string(dicom::trim_uid(value.value_or("")));
  };
  Provenance made;
  made.id = "id";
  made.calling_ae_title = "CT1";
  made.called_ae_title = "SLUICE";
  made.peer_address = "10.0.0.1";
  made.listener = "listener-11112";
  made.sop_class_uid = uid(dicom::tags::kSopClassUid);
  made.sop_instance_uid = uid(dicom::tags::kSopInstanceUid);
  made.received_at = received_at;
  return made;
}

// An instance with what it stands on.
struct Case {
  explicit Case(std::string data_set,
                const std::string& syntax = std::string(dicom::kExplicitVrLittleEndian),
                Time received_at = kReceivedAt)
      : bytes(std::move(data_set)),
        header(std::make_unique<dicom::Header>(header_of(bytes, syntax))),
        instance(provenance_for(*header, received_at), *header) {}
  explicit Case(const DataSet& data_set) : Case(data_set.bytes()) {}

  Verdict apply(const Filter& filter, Ledger& ledger) {
    auto verdict = filter.apply(instance, ledger);
    if (!verdict) throw std::runtime_error(verdict.error().message);
    return std::move(*verdict);
  }
  [[nodiscard]] std::string output() const { return rendered(instance.patch(), bytes); }

  std::string bytes;
  std::unique_ptr<dicom::Header> header;
  Instance instance;
};

inline std::string reason_of(const Verdict& verdict) {
  if (const auto* drop = std::get_if<Drop>(&verdict)) return drop->reason;
  if (const auto* reject = std::get_if<Reject>(&verdict)) return reject->reason;
  if (const auto* quarantine = std::get_if<Quarantine>(&verdict)) return quarantine->reason;
  return "";
}
inline bool is_pass(const Verdict& verdict) {
  return std::holds_alternative<Pass>(verdict);
}
inline bool is_reject(const Verdict& verdict) {
  return std::holds_alternative<Reject>(verdict);
}
inline bool is_quarantine(const Verdict& verdict) {
  return std::holds_alternative<Quarantine>(verdict);
}

}  // namespace sluice::test
