#include "gateway/config/tables.h"

#include <algorithm>
#include <cctype>
#include <initializer_list>

#include "gateway/base/log.h"
#include "gateway/config/address.h"

namespace sluice::config {
namespace {

constexpr std::string_view kFingerprintPrefix = "sha256:";
constexpr std::size_t kFingerprintDigits = 64;

std::string in_small_letters(std::string_view text) {
  std::string small(text);
  std::ranges::transform(small, small.begin(), [](unsigned char character) {
    return static_cast<char>(character < 0x80 ? std::tolower(character) : character);
  });
  return small;
}

// A fingerprint loses the colons that `openssl x509 -fingerprint` writes.
std::string normalized(Table& table, const std::string& key) {
  std::string name = in_small_letters(key);
  if (name.empty()) table.mistake(key, "a certificate's name must not be empty");
  if (!name.starts_with(kFingerprintPrefix)) return name;
  std::string digits = name.substr(kFingerprintPrefix.size());
  std::erase(digits, ':');
  if (digits.size() != kFingerprintDigits ||
      digits.find_first_not_of("0123456789abcdef") != std::string::npos) {
    table.mistake(key, "'" + log::escape(key) + "' is no SHA-256 fingerprint: write sha256: and " +
                           std::to_string(kFingerprintDigits) + " hexadecimal digits");
  }
  return std::string(kFingerprintPrefix) + digits;
}

std::vector<Tls::Holder> read_holders(Table& table) {
  std::vector<Tls::Holder> holders;
  for (const std::string& key : table.keys()) {
    Tls::Holder holder;
    holder.certificate = normalized(table, key);
    holder.ae_titles = table.strings(key, {});
    if (holder.ae_titles.empty()) {
      table.mistake(key, "'" + log::escape(key) + "' names no AE title; any is written \"*\"");
    }
    for (const std::string& title : holder.ae_titles) {
      const auto defect = title == "*" ? std::nullopt : find_ae_title_defect(title);
      if (defect) table.mistake(key, "AE title '" + log::escape(title) + "' " + *defect);
    }
    holders.push_back(std::move(holder));
  }
  return holders;
}

Tls read_files(Table& table) {
  Tls tls;
  tls.certificate = table.string("certificate", "");
  tls.key = table.string("key", "");
  tls.ca = table.string("ca", "");
  tls.crl = table.string("crl", "");
  for (const char* key : {"certificate", "key", "ca", "crl"}) {
    tls.lines[key] = table.line_of(key);
    const std::string path = table.string(key, "");
    if (table.has(key) && (path.empty() || path.find('\0') != std::string::npos)) {
      table.mistake(key, std::string(key) + " must be the path of a PEM file");
    }
  }
  tls.lines[""] = table.line();
  if (!tls.crl.empty() && tls.ca.empty()) {
    table.mistake("crl", "crl means nothing without ca, the CAs that signed it");
  }
  return tls;
}

void require(Table& table, std::initializer_list<const char*> keys) {
  for (const char* key : keys) {
    if (!table.has(key)) table.mistake(std::string(key) + " is missing");
  }
}

void read_client_rules(Table& table, Tls& tls) {
  const bool has_ca = table.has("ca");
  tls.client_certificate = table.choice("client_certificate", has_ca ? "required" : "none",
                                        {"required", "optional", "none"});
  const bool asks = tls.client_certificate != "none";
  if (asks && !has_ca) {
    table.mistake("client_certificate", "client_certificate = \"" + tls.client_certificate +
                                            "\" needs a ca, who signed the clients' certificates");
  }
  if (!asks && has_ca) {
    table.mistake("ca", "ca means nothing with client_certificate = \"none\"");
  }
  auto ae_titles = table.table("ae_titles");
  if (!ae_titles) return;
  tls.ae_titles = read_holders(*ae_titles);
  if (!asks) {
    table.mistake("ae_titles",
                  "ae_titles need clients with certificates: give a ca, and leave "
                  "client_certificate = \"none\" out");
  }
}

}  // namespace

std::optional<Tls> read_listener_tls(Table& listener) {
  auto table = listener.table("tls");
  if (!table) return std::nullopt;
  Tls tls = read_files(*table);
  require(*table, {"certificate", "key"});
  read_client_rules(*table, tls);
  table->finish();
  return tls;
}

std::optional<Tls> read_destination_tls(Table& destination) {
  auto table = destination.table("tls");
  if (!table) return std::nullopt;
  Tls tls = read_files(*table);
  require(*table, {"ca"});
  if (table->has("certificate") != table->has("key")) {
    table->mistake(table->has("key") ? "key" : "certificate",
                   "certificate and key go together: give both, or none");
  }
  tls.name = table->string("name", "");
  tls.lines["name"] = table->line_of("name");
  if (table->has("name") && (tls.name.empty() || tls.name.find('\0') != std::string::npos)) {
    table->mistake("name",
                   "name must be the DNS name or IP address in the destination's certificate");
  }
  table->finish();
  return tls;
}

}  // namespace sluice::config
