// The configuration file as plain structs. docs and conf/sluice.toml say what each
// key does; here stand the defaults.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/base/log.h"
#include "gateway/config/network.h"
#include "gateway/config/priority.h"
#include "gateway/config/table.h"
#include "gateway/config/time_window.h"

namespace sluice::config {

using std::chrono::milliseconds;

inline constexpr int kMostNesting = 120;  // as deep as the scanner can tell

struct Gateway {
  std::string data_dir = "var";
  log::Level log_level = log::Level::info;
  log::Format log_format = log::Format::human;
  int max_associations = 200;  // in all
  int max_associations_per_address = 100;
  std::uint64_t max_instance_size = 4ULL << 30U;
  int max_nesting = 64;                               // sequences in sequences
  std::uint64_t min_free_space = 0;                   // bytes; with less nothing is accepted
  milliseconds delivery_patience{50};                 // then the disk is waited for; 0: at once
  milliseconds drain_timeout{30'000};                 // SIGTERM: running instances may finish
  milliseconds history{30LL * 24 * 3600 * 1000};      // rows of finished instances stay
  std::string unrouted = "quarantine";                // or "reject", "drop"
  milliseconds duplicate_window{24LL * 3600 * 1000};  // 0: the same bytes are delivered anew
  std::string other_bytes = "quarantine";             // or "deliver", "new_uid"
  std::string irregular_tags = "deliver";             // or "quarantine", "reject"
  milliseconds alarm_waiting{3600LL * 1000};          // 0 in these: no alarm
  milliseconds alarm_held{24LL * 3600 * 1000};
  milliseconds alarm_quarantined{24LL * 3600 * 1000};
  milliseconds discard_quarantined_after{0};  // 0: never
};

// A calling AE title that has addresses of its own.
struct Peer {
  std::string calling_ae_title;  // a glob
  std::vector<Network> allow;    // never empty
};

// What becomes of the user that an association names (PS3.7 D.3.3.7).
enum class UserIdentity {
  ignore,  // accepted as without
  refuse,  // the association is rejected
  pass,    // the name goes on, with the instances
};

// [listener.tls] and [destination.tls]: the paths of PEM files, relative ones from the
// working directory. What they hold is not looked at here; see gateway/net/tls.h.
struct Tls {
  // A certificate, and the calling AE titles that whoever has it may use.
  struct Holder {
    std::string certificate;             // a name in it, in small letters, or "sha256:" and
                                         // 64 small hexadecimal digits
    std::vector<std::string> ae_titles;  // "*": any
    bool operator==(const Holder&) const = default;
  };

  std::string certificate;                  // first its own, then those that lead to its CA
  std::string key;                          // of the certificate
  std::string ca;                           // who may vouch for the peer
  std::string crl;                          // what the CAs have revoked; "": not looked at
  std::string client_certificate = "none";  // listener: "required", "optional"
  std::vector<Holder> ae_titles;            // listener; empty: not bound
  std::string name;                         // destination: in its certificate; "": the host
  std::map<std::string, int> lines;         // where each of these keys, and "", the table, stands

  // Wherever it stands in the file.
  bool operator==(const Tls& other) const;
};

struct Listener {
  std::string name;            // default "listener-PORT"
  std::string address = "::";  // both families; "0.0.0.0", "127.0.0.1", "::1"
  std::uint16_t port = 0;
  std::vector<std::string> ae_titles;          // called; empty: any
  std::vector<std::string> calling_ae_titles;  // globs; empty: any
  std::vector<Network> allow;                  // who may connect; empty: any
  std::vector<Peer> peers;                     // of an AE title, all that match count
  UserIdentity user_identity = UserIdentity::ignore;
  std::vector<std::string> transfer_syntaxes;  // UIDs; empty: all that can be read
  int transfer_syntaxes_line = 0;              // where they stand
  std::uint32_t max_pdu = 131072;              // bytes
  milliseconds request_timeout{10'000};        // the whole A-ASSOCIATE-RQ
  milliseconds idle_timeout{60'000};           // between messages
  milliseconds stall_timeout{30'000};          // no byte inside a message
  milliseconds message_timeout{600'000};       // one DIMSE message
  std::optional<Tls> tls;
};

struct FilterEntry {
  std::string name;
  std::string type;
  Table options;  // what remains, for the filter's factory
};

struct Destination {
  std::string name;
  std::string scheme;           // "dicom", "dicoms" or "file"
  std::string called_ae_title;  // dicom and dicoms
  std::string host;             // dicom
  std::uint16_t port = 0;       // dicom
  std::string folder;           // file: absolute path
  std::string calling_ae_title = "SLUICE";
  bool user_identity = false;  // is told the user's name, where one came along
  bool required = true;        // false: given up in the end
  int associations = 2;        // at a time
  std::uint32_t max_pdu = 131072;
  milliseconds connect_timeout{10'000};
  milliseconds response_timeout{60'000};  // association answer, C-STORE-RSP
  milliseconds idle_timeout{5'000};       // an unused association is released
  milliseconds retry_min{2'000};          // back-off, doubled with jitter
  milliseconds retry_max{300'000};
  int max_failures = 3;  // of one instance, by the PACS's refusal; then held
  int filters_line = 0;
  int max_rate = 0;                                // instances a second; 0: any number
  std::vector<std::string> filters;                // behind those of the route
  std::vector<std::string> transfer_syntaxes;      // UIDs that it is offered; empty: any
  std::vector<TimeWindow> schedule;                // when it is sent to; empty: always
  std::uint64_t max_bandwidth = 0;                 // bytes a second; 0: any number
  milliseconds give_up_after{24LL * 3600 * 1000};  // where it is not required
  std::optional<Tls> tls;                          // dicoms

  bool operator==(const Destination&) const = default;
};

// Destinations of which one is enough. Routes name it as a destination.
struct Group {
  std::string name;
  std::vector<std::string> destinations;  // two or more, in the order in which they are asked
  bool is_balanced = false;               // else the first that is not away
  std::vector<std::string> filters;       // behind those of the route
  int filters_line = 0;
};

// What is true of an instance when its sender is told that it was stored.
enum class Acknowledge {
  delivered,  // its destination said so; nothing is kept here
  safe,       // every destination has accepted it, or it is durable on disk
  stored,     // it is durable on disk
};

struct Route {
  std::string name;           // default "route-N", from 1
  std::optional<Table> when;  // conditions, for the pipeline to read; nullopt: everything
  std::vector<std::string> filters;
  std::vector<std::string> destinations;  // empty: for what its filters say
  bool final = false;
  Acknowledge acknowledge = Acknowledge::safe;
  Priority priority = Priority::medium;  // of its deliveries
  int line = 0;                          // where it begins
  int filters_line = 0;                  // where `filters` stands
};

// A collector of audit messages.
struct AuditDestination {
  std::string address;            // as written
  std::string scheme;             // "syslog", "syslogs", "unix" or "file"
  std::string host;               // syslog, syslogs
  std::uint16_t port = 0;         // syslog, syslogs
  std::string path;               // unix, file: absolute
  milliseconds retry_min{1'000};  // back-off, doubled with jitter
  milliseconds retry_max{60'000};
  std::optional<Tls> tls;  // syslogs

  bool operator==(const AuditDestination&) const = default;
};

struct Audit {
  std::vector<AuditDestination> destinations;  // empty: no audit trail
  std::string source_id;                       // AuditSourceID; "": the host name
  std::string site_id;                         // AuditEnterpriseSiteID; "": none
  std::uint64_t max_size = 256ULL << 20U;      // of what waits on disk

  bool operator==(const Audit&) const = default;
};

// [metrics]: where counters are shown over HTTP; see gateway/metrics/endpoint.h.
struct Metrics {
  std::string address = "127.0.0.1";
  std::uint16_t port = 9464;

  bool operator==(const Metrics&) const = default;
};

struct Config {
  Gateway gateway;
  std::vector<Listener> listeners;
  std::vector<FilterEntry> filters;
  std::vector<Destination> destinations;
  std::vector<Group> groups;
  std::vector<Route> routes;
  Audit audit;
  std::optional<Metrics> metrics;  // nullopt: not shown
  std::vector<Table> tests;        // [[test]], for gateway/command/test_table.h to read
};

// A file of tests for a configuration that stands in another: `config = "sluice.toml"`, which
// counts from this file's folder, and [[test]] tables.
struct TestFile {
  std::string config_file;
  std::vector<Table> tests;
};

// Reads everything that stands in the file but the options of the filters and the
// meaning of conditions, which the pipeline checks. Notes every mistake: unknown
// keys, wrong types and ranges, names used twice or unknown, no listener, no
// route, two listeners on one port, [metrics] being one. A relative data_dir counts from the
// working directory.
// The filters' options and the conditions note their mistakes in `mistakes` later, so it must
// outlive them.
[[nodiscard]] Config parse(std::string_view toml, Mistakes& mistakes);
[[nodiscard]] Config load(const std::string& path, Mistakes& mistakes);

// nullopt when the file names no configuration: it is one, or cannot be read, which load()
// tells. As with load(), the tests note their mistakes later.
[[nodiscard]] std::optional<TestFile> load_test_file(const std::string& path, Mistakes& mistakes);

}  // namespace sluice::config
