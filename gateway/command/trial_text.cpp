#include "gateway/command/trial_text.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <iterator>
#include <sstream>
#include <utility>
#include <vector>

#include "gateway/base/log.h"
#include "gateway/dicom/sop_class.h"
#include "gateway/dicom/transfer_syntax.h"

namespace sluice::command {
namespace {

using nlohmann::json;
using SopClass = StorageTrial::SopClass;

double milliseconds_of(std::chrono::nanoseconds duration) {
  return std::round(std::chrono::duration<double, std::micro>(duration).count()) / 1000;
}

std::string address_of(const config::Destination& destination) {
  if (destination.scheme == "file") return "file://" + destination.folder;
  const bool is_ipv6 = destination.host.find(':') != std::string::npos;
  return destination.scheme + "://" + destination.called_ae_title + "@" +
         (is_ipv6 ? "[" + destination.host + "]" : destination.host) + ":" +
         std::to_string(destination.port);
}

json storage_json(const StorageTrial& storage) {
  json accepted = json::array();
  json refused = json::array();
  for (const SopClass& each : storage.classes) {
    json told{{"sop_class_uid", each.uid}, {"name", dicom::sop_class_name(each.uid)}};
    if (each.transfer_syntaxes.empty()) {
      refused.push_back(std::move(told));
    } else {
      told["transfer_syntax_uids"] = each.transfer_syntaxes;
      accepted.push_back(std::move(told));
    }
  }
  return {{"complete", storage.problem.empty()},
          {"problem", log::escape(storage.problem)},
          {"proposed_transfer_syntax_uids", storage.transfer_syntaxes},
          {"accepted", std::move(accepted)},
          {"not_accepted", std::move(refused)}};
}

// SOP classes with the same transfer syntaxes.
struct Group {
  std::vector<std::string> transfer_syntaxes;
  std::vector<std::string> names;  // of the classes
};

// The largest first, and last what is not accepted at all.
std::vector<Group> groups_of(const StorageTrial& storage) {
  std::vector<Group> groups;
  for (const SopClass& each : storage.classes) {
    auto found = std::ranges::find(groups, each.transfer_syntaxes, &Group::transfer_syntaxes);
    if (found == groups.end()) {
      groups.push_back({each.transfer_syntaxes, {}});
      found = std::prev(groups.end());
    }
    found->names.push_back(dicom::sop_class_name(each.uid));
  }
  std::ranges::stable_sort(groups, [](const Group& left, const Group& right) {
    const bool left_none = left.transfer_syntaxes.empty();
    const bool right_none = right.transfer_syntaxes.empty();
    if (left_none != right_none) return right_none;
    return left.names.size() > right.names.size();
  });
  return groups;
}

std::string syntaxes_text(const Group& group, const StorageTrial& storage) {
  if (group.transfer_syntaxes.empty()) return "not accepted";
  const std::size_t count = storage.transfer_syntaxes.size();
  if (group.transfer_syntaxes.size() == count) {
    return "all " + std::to_string(count) + " transfer syntaxes";
  }
  std::string text;
  for (const std::string& uid : group.transfer_syntaxes) {
    if (!text.empty()) text += "; ";  // some names have commas
    text += dicom::transfer_syntax_name(uid);
  }
  return text;
}

// The largest group is told by its number: its classes are those that stand nowhere else.
void write_storage(const StorageTrial& storage, std::ostream& out) {
  const std::vector<Group> groups = groups_of(storage);
  const std::string total = std::to_string(storage.classes.size());
  const auto largest =
      std::ranges::max_element(groups, {}, [](const Group& group) { return group.names.size(); });
  for (auto group = groups.begin(); group != groups.end(); ++group) {
    out << "  " << group->names.size() << " of " << total
        << " storage SOP classes: " << syntaxes_text(*group, storage) << '\n';
    if (groups.size() == 1) break;
    if (group == largest) {
      out << "      all that are not named here\n";
      continue;
    }
    for (const std::string& name : group->names) out << "      " << name << '\n';
  }
  if (storage.problem.empty()) return;
  out << "  not asked for all storage SOP classes: " << log::escape(storage.problem) << '\n';
}

void write_echo(const EchoTrial& echo, bool echoed, std::ostream& out) {
  out << "  connected in " << milliseconds_of(echo.peer.connected_in) << " ms"
      << (echo.peer.tls.empty() ? "" : " (" + echo.peer.tls + ")") << ", association in "
      << milliseconds_of(echo.associated_in) << " ms";
  if (echoed) out << ", C-ECHO in " << milliseconds_of(echo.echoed_in) << " ms";
  const std::string version = log::escape(echo.peer.implementation_version_name);
  out << "\n  peer " << (version.empty() ? "without a version name" : version) << ", "
      << log::escape(echo.peer.implementation_class_uid) << "; PDUs to it of " << echo.peer.max_pdu
      << " bytes at most\n";
}

void write_folder(const FolderTrial& folder, std::ostream& out) {
  constexpr double kGiB = 1024.0 * 1024 * 1024;
  out << "  " << (folder.exists ? "" : "does not exist yet, the first delivery makes it; ")
      << std::round(static_cast<double>(folder.free_bytes) / kGiB * 10) / 10 << " GiB free\n";
}

}  // namespace

json to_json(const config::Destination& destination, const Trial& trial) {
  json told{{"name", destination.name},
            {"address", address_of(destination)},
            {"works", trial.problem.empty()},
            {"problem", log::escape(trial.problem)},
            {"advice", trial.advice}};
  if (trial.echo) {
    const EchoTrial& echo = *trial.echo;
    told["peer"] = {
        {"implementation_class_uid", log::escape(echo.peer.implementation_class_uid)},
        {"implementation_version_name", log::escape(echo.peer.implementation_version_name)},
        {"max_pdu", echo.peer.max_pdu},
        {"tls", echo.peer.tls},
        {"connect_ms", milliseconds_of(echo.peer.connected_in)},
        {"association_ms", milliseconds_of(echo.associated_in)},
        {"echo_ms", nullptr}};
    if (trial.problem.empty()) told["peer"]["echo_ms"] = milliseconds_of(echo.echoed_in);
  }
  if (trial.storage) told["storage"] = storage_json(*trial.storage);
  if (trial.folder) {
    told["folder"] = {{"exists", trial.folder->exists}, {"free_bytes", trial.folder->free_bytes}};
  }
  return told;
}

std::string to_text(const config::Destination& destination, const Trial& trial) {
  std::ostringstream out;
  const bool works = trial.problem.empty();
  out << destination.name << ": " << address_of(destination) << ": "
      << (works ? "works" : "does not work") << '\n';
  if (!works) {
    out << "  " << log::escape(trial.problem) << '\n';
    if (!trial.advice.empty()) out << "  what to do: " << trial.advice << '\n';
  }
  if (trial.echo) write_echo(*trial.echo, works, out);
  if (trial.storage) write_storage(*trial.storage, out);
  if (trial.folder && works) write_folder(*trial.folder, out);
  return std::move(out).str();
}

}  // namespace sluice::command
