// The filters, in chains as routes run them, on whatever the scanner takes: the same edits
// every time, nothing but what they declare, and nothing left to do in their own output.
#include "filters/filters.h"

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "gateway/dicom/uid.h"
#include "gateway/pipeline/pipeline.h"
#include "tests/dicom/data_set_bytes.h"
#include "tests/fuzz/index_check.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/memory_ledger.h"
#include "tests/fuzz/quiet.h"
#include "tests/fuzz/targets.h"

namespace sluice::fuzz {
namespace {

using dicom::ElementIndex;
using dicom::Header;
using dicom::Vr;

struct Chain {
  const char* route;
  bool repairs_uids;  // of instances and what they refer to, all of them
  bool is_single;     // one filter: its own output leaves it nothing to do
};
constexpr Chain kChains[] = {
    {"sanitize", true, true}, {"strip", true, true},    {"merge", false, true},
    {"new", false, true},     {"remap", false, true},   {"offset", false, false},
    {"all", true, false},     {"lenient", false, true}, {"copy", true, true},
    {"back", false, true},
};
constexpr const char* kConfiguration = R"toml(
[[listener]]
port = 11112
[[destination]]
name = "pacs"
address = "dicom://PACS@127.0.0.1:11113"
[[filter]]
name = "strip"
type = "sanitize_uids"
leading_zero = "strip_zeros"
padding = "hash"
algorithm = "dcm4che-md5"
missing = "pass"
mismatch = "pass"
record_original = false
[[filter]]
name = "lenient"
type = "sanitize_uids"
padding = "pass"
inner_white_space = "quarantine"
illegal_character = "reject"
missing = "quarantine"
[[filter]]
name = "new"
type = "merge_studies"
key = ["PatientID", "StudyDate"]
attributes = ["StudyDescription", "PatientName", "BitsAllocated"]
study_instance_uid = "new"
[[filter]]
name = "offset"
type = "remap_series_number"
mode = "offset"
offset = 2000000000
absent = "pass"
not_integer = "quarantine"
[[filter]]
name = "edit"
type = "edit"
characters = "unicode"
[[filter.rule]]
attribute = "InstitutionName"
set = "Krankenhaus Süd Ж"
[[filter.rule]]
attribute = "PatientName"
upper = true
[[filter.rule]]
attribute = "(0009,xx01,ACME)"
suffix = "_{Modality}"
when = { TextValue = { empty = false } }
[[filter.rule]]
attribute = "ReferencedSeriesSequence[*].SeriesDescription"
default = "{calling_ae_title}"
[[filter.rule]]
attribute = "StudyDescription"
truncate = 3
[[filter.rule]]
attribute = "RequestAttributesSequence"
remove = true
[[filter]]
name = "copy"
type = "remap_uids"
prefix = "1.2.826.0.1.3680043.10.999"
[[filter]]
name = "back"
type = "remap_uids"
mode = "restore"
of = "copy"
[[route]]
name = "sanitize"
when = { called_ae_title = "sanitize" }
filters = "sanitize_uids"
destinations = "pacs"
[[route]]
name = "strip"
when = { called_ae_title = "strip" }
filters = "strip"
destinations = "pacs"
[[route]]
name = "merge"
when = { called_ae_title = "merge" }
filters = "merge_studies"
destinations = "pacs"
[[route]]
name = "new"
when = { called_ae_title = "new" }
filters = "new"
destinations = "pacs"
[[route]]
name = "remap"
when = { called_ae_title = "remap" }
filters = "remap_series_number"
destinations = "pacs"
[[route]]
name = "offset"
when = { called_ae_title = "offset" }
filters = "offset"
destinations = "pacs"
[[route]]
name = "all"
when = { called_ae_title = "all" }
filters = ["sanitize_uids", "merge_studies", "remap_series_number", "remap_instance_number", "edit"]
destinations = "pacs"
[[route]]
name = "lenient"
when = { called_ae_title = "lenient", Modality = "*" }
filters = "lenient"
destinations = "pacs"
[[route]]
name = "copy"
when = { called_ae_title = "copy" }
filters = "copy"
destinations = "pacs"
[[route]]
name = "back"
when = { called_ae_title = "back" }
filters = "back"
destinations = "pacs"
)toml";

const Pipeline& pipeline() {
  static const std::unique_ptr<Pipeline> built = [] {
    config::Mistakes mistakes("fuzz");
    const config::Config config = config::parse(kConfiguration, mistakes);
    auto made = Pipeline::build(config, filter_types(), std::string(64, '5'), mistakes);
    require(mistakes.empty(), "the configuration is right", [&] { return mistakes.text(); });
    return made;
  }();
  return *built;
}

std::string describe(const Verdict& verdict) {
  if (const auto* drop = std::get_if<Drop>(&verdict)) return "drop: " + drop->reason;
  if (const auto* quarantine = std::get_if<Quarantine>(&verdict)) {
    return "quarantine: " + quarantine->reason;
  }
  const auto* const reject = std::get_if<Reject>(&verdict);
  if (reject == nullptr) return "pass";
  return "reject " + std::to_string(reject->status) + ": " + reject->reason;
}

// One run of a chain and what came of it.
struct Run {
  std::string outcome;  // the verdict, or the error
  bool passed = false;
  bool changed = false;
  std::vector<Change> changes;
  std::string bytes;  // when passed
};

Run run(const Chain& chain, const Provenance& provenance, const Header& header,
        std::string_view data, Ledger& ledger) {
  Instance instance(provenance, header);
  const auto verdict = pipeline().apply(chain.route, "", instance, ledger);
  Run made;
  made.outcome = verdict ? describe(*verdict) : "error: " + verdict.error().message;
  made.passed = verdict && std::holds_alternative<Pass>(*verdict);
  made.changed = !instance.patch().empty();
  made.changes = instance.changes();
  if (!made.passed) return made;
  const auto pieces = instance.patch().render(data.size());
  require(pieces.has_value(), "what passed can be sent", [&] { return pieces.error().message; });
  made.bytes = test::joined(*pieces, data);
  return made;
}

bool same_changes(const std::vector<Change>& left, const std::vector<Change>& right) {
  return std::ranges::equal(left, right, [](const Change& a, const Change& b) {
    return a.filter == b.filter && a.path == b.path && a.reason == b.reason &&
           a.before == b.before && a.after == b.after;
  });
}

void compare_with_decision(const Decision& decision, const Run& sent) {
  require(decision.routes.size() == 1, "one route takes it");
  const RouteDecision& route = decision.routes.front();
  require(describe(route.verdict) == sent.outcome, "sending has the verdict of receipt",
          [&] { return describe(route.verdict) + " / " + sent.outcome; });
  require(same_changes(route.changes, sent.changes), "sending has the changes of receipt");
  for (const Change& change : sent.changes) {
    require(!change.path.empty() && !change.reason.empty(), "a change says what and why");
  }
}

bool is_past(const Header& header, ElementIndex index) {
  return header.is_inside(index, dicom::tags::kOriginalAttributesSequence) ||
         header[index].tag == dicom::tags::kOriginalAttributesSequence;
}

// Values by path; of a path that comes twice, all.
std::map<std::string, std::set<std::string>> values_of(const Header& header) {
  std::map<std::string, std::set<std::string>> values;
  for (ElementIndex index = 0; index < header.elements().size(); ++index) {
    const auto value = header.value(index);
    if (value) values[header.path(index)].insert(std::string(*value));
  }
  return values;
}

void check_declared(const Header& before, const Header& after, const Run& sent) {
  std::set<std::string> declared;
  for (const Change& change : sent.changes) declared.insert(change.path);
  const auto old_values = values_of(before);
  for (const auto& entry : values_of(after)) {
    const std::string& path = entry.first;
    if (declared.contains(path)) continue;
    const auto old = old_values.find(path);
    const bool is_same = old != old_values.end() && old->second == entry.second;
    const bool is_record = path.starts_with("OriginalAttributesSequence");
    require(is_same || is_record || path.ends_with(",0000)") || path.ends_with("GroupLength"),
            "every change is declared", [&] { return path; });
  }
}

bool is_right_or_empty(std::string_view uid) {
  return dicom::trim_uid(uid).empty() || dicom::is_valid_uid(uid) || dicom::is_well_known_uid(uid);
}

// PS3.5 9.1, of every value of every attribute that names an instance or the like.
void check_uids(const Header& header) {
  for (ElementIndex index = 0; index < header.elements().size(); ++index) {
    const dicom::Element& element = header[index];
    if (element.known_vr() != Vr::UI || !dicom::is_instance_reference(element.tag)) continue;
    auto rest = header.value(index).value_or("");
    if (is_past(header, index) || rest.empty()) continue;
    if (rest.back() == '\0') rest.remove_suffix(1);
    for (;;) {
      const std::size_t end = rest.find('\\');
      require(is_right_or_empty(rest.substr(0, end)), "no UID is left broken",
              [&] { return header.path(index); });
      if (end == std::string_view::npos) break;
      rest.remove_prefix(end + 1);
    }
  }
}

Provenance any_provenance(Input& input, const Chain& chain, const Header& header) {
  const auto index = header.find(dicom::tags::kSopInstanceUid);
  const auto value = index ? header.value(*index) : std::nullopt;
  Provenance made;
  made.id = "id";
  made.calling_ae_title = "CT1";
  made.called_ae_title = chain.route;
  made.sop_instance_uid = dicom::trim_uid(value.value_or(""));
  if (input.below(8) == 7) made.sop_instance_uid = "1.2.3";
  made.received_at = std::chrono::system_clock::time_point(std::chrono::seconds(1'790'000'000));
  return made;
}

}  // namespace

void filters(Bytes bytes) {
  keep_quiet();
  Input input(bytes);
  const Chain& chain = kChains[input.below(std::size(kChains))];
  const dicom::TransferSyntax syntax = input.transfer_syntax();
  const auto header = dicom::scan(input.subject(), syntax);
  if (!header || syntax.deflated) return;
  const std::string_view data = text_of(input.subject());
  const Provenance provenance = any_provenance(input, chain, *header);

  MemoryLedger ledger(input.yes());
  const auto decision = pipeline().decide(provenance, *header, ledger);
  const Run first = run(chain, provenance, *header, data, ledger);
  const Run second = run(chain, provenance, *header, data, ledger);
  require(first.outcome == second.outcome && first.bytes == second.bytes &&
              same_changes(first.changes, second.changes),
          "every attempt sends the same");
  if (!decision) {
    require(first.outcome == "error: " + decision.error().message, "an error is the same again");
    return;
  }
  compare_with_decision(*decision, first);
  if (!first.passed) return;
  require(first.changed || first.bytes == data, "without an edit nothing changes");

  const auto after = test::scan_text(first.bytes, syntax);
  require(after.has_value(), "what is sent is a data set", [&] { return after.error().message; });
  check_index(*after, first.bytes);
  check_declared(*header, *after, first);
  if (chain.repairs_uids) check_uids(*after);
  if (!chain.is_single) return;
  const Provenance own = any_provenance(input, chain, *after);
  const Run again = run(chain, own, *after, first.bytes, ledger);
  require(!again.passed || !again.changed, "its own output leaves nothing to do",
          [&] { return again.changes.empty() ? again.outcome : again.changes.front().path; });
}

}  // namespace sluice::fuzz
