#include "gateway/base/metric_families.h"

#include <array>

namespace sluice {
namespace {

using Kind = MetricKind;

constexpr std::array kFamilies = std::to_array<MetricFamily>({
    {"process_start_time_seconds", Kind::gauge, "When the gateway was started, Unix time"},
    {"sluice_ack_seconds", Kind::histogram,
     "From the C-STORE-RQ, its command read, to its response written, by status"},
    {"sluice_acknowledged_total", Kind::counter,
     "Instances answered with success, and what made them safe"},
    {"sluice_age_alarms_total", Kind::counter, "Alarms for what waits or rests too long"},
    {"sluice_associations_ended_total", Kind::counter,
     "Associations of senders that ended, and how"},
    {"sluice_associations_total", Kind::counter,
     "Associations and connections of senders, accepted or not, and why not"},
    {"sluice_attempt_seconds", Kind::histogram,
     "How long an attempt to send an instance took, whatever came of it"},
    {"sluice_audit_breaks_total", Kind::counter, "Breaks of the way to an audit collector"},
    {"sluice_audit_lost_total", Kind::counter, "Audit messages lost, and why"},
    {"sluice_audit_messages_total", Kind::counter, "Audit messages written for their collectors"},
    {"sluice_build_info", Kind::gauge, "1; the version is the label"},
    {"sluice_certificate_seconds_left", Kind::gauge, "Until a certificate or CRL ends"},
    {"sluice_changes_total", Kind::counter, "Changes that filters made in instances received"},
    {"sluice_configuration_alarms_total", Kind::counter,
     "Alarms that a destination does not take us"},
    {"sluice_conversions_total", Kind::counter,
     "Instances sent in another transfer syntax than they came in"},
    {"sluice_delivered_bytes_total", Kind::counter, "Bytes of data sets delivered"},
    {"sluice_deliveries_total", Kind::counter,
     "Attempts to deliver by outcome, and the status of the answer"},
    {"sluice_delivery_seconds", Kind::histogram, "From an instance's receipt to its delivery"},
    {"sluice_discarded_by_age_total", Kind::counter,
     "Quarantined deliveries discarded by discard_quarantined_after"},
    {"sluice_echo_total", Kind::counter, "C-ECHO answered"},
    {"sluice_irregular_tags_total", Kind::counter,
     "Instances with top-level tags twice or out of order"},
    {"sluice_ledger_errors_total", Kind::counter, "Writes of the ledger that failed"},
    {"sluice_lookup_reloads_total", Kind::counter, "Files of lookups that changed, taken or not"},
    {"sluice_open_associations", Kind::gauge,
     "Associations that are open, received from senders and sent to destinations"},
    {"sluice_other_bytes_total", Kind::counter,
     "Instances with other bytes under a known SOP Instance UID"},
    {"sluice_passed_on_total", Kind::counter,
     "Instances of routes that keep nothing, answered by their destination"},
    {"sluice_queue_deliveries", Kind::gauge, "Deliveries that wait or rest"},
    {"sluice_queue_errors_total", Kind::counter, "Writes of the queue that failed"},
    {"sluice_queue_oldest_age_seconds", Kind::gauge,
     "Since the oldest of the deliveries that wait or rest was received"},
    {"sluice_received_bytes_total", Kind::counter, "Bytes of data sets answered with success"},
    {"sluice_received_total", Kind::counter, "C-STORE requests by outcome"},
    {"sluice_rejections_not_listed_total", Kind::counter,
     "Rejections that the queue had no room to list"},
    {"sluice_reloads_total", Kind::counter,
     "Attempts to go by a changed configuration, and what came of them"},
    {"sluice_security_alerts_total", Kind::counter, "Peers turned away, or that turned us away"},
    {"sluice_series_suspects_total", Kind::counter,
     "Ways in which series are not what their first instance was"},
    {"sluice_spool_errors_total", Kind::counter, "Instances that the spool did not take"},
    {"sluice_sync_seconds", Kind::histogram, "How long the disk took to have it"},
    {"sluice_tls_connections_total", Kind::counter, "TLS connections of senders by version"},
    {"sluice_unrecorded_total", Kind::counter,
     "Instances that all destinations have and the queue could not note"},
    {"sluice_verdicts_total", Kind::counter, "What the filters of a route decided"},
});

}  // namespace

std::span<const MetricFamily> metric_families() {
  return kFamilies;
}

}  // namespace sluice
