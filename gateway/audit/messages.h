// The audit messages that a gateway has to tell, each by its table in PS3.15 A.5.3.
//
// UserID (A.5.2.1) is the process id for the gateway, the AE title for another node, and
// the login name for a person. The gateway is always known by its host name (A.5.2.4).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/audit/event.h"

namespace sluice::audit {

// This process.
struct Self {
  std::string host_name;
  std::string process_id;
  std::vector<std::string> ae_titles;  // all that it listens to and calls by
};

// Another node: an AE title, and where it is.
struct Node {
  std::string ae_title;
  AccessPoint access_point_type = AccessPoint::ip_address;
  std::string access_point;
};

// Somebody at the command line.
struct Person {
  std::string login;
  std::string name;
};

enum class Direction { received, sent };

// The two ends of an association.
struct Route {
  Direction direction = Direction::received;
  std::string own_ae_title;
  Node peer;
};

// What one patient and study are called, as in the data set, any character set.
struct Subject {
  std::string patient_id;
  std::string patient_name;
  std::string specific_character_set;
  std::string study_instance_uid;
};

using SopClasses = std::map<std::string, std::uint64_t>;

// 110100 Application Activity (A.5.3.1).
[[nodiscard]] Event application_activity(const Self& self, bool started, Time time);

// 110102 Begin Transferring DICOM Instances (A.5.3.3).
[[nodiscard]] Event begin_transferring(const Self& self, const Route& route, const Subject& subject,
                                       const std::string& sop_class_uid, Time time);

// 110104 DICOM Instances Transferred (A.5.3.7): of one patient and study, with one outcome.
[[nodiscard]] Event instances_transferred(const Self& self, const Route& route,
                                          const Subject& subject, const SopClasses& sop_classes,
                                          Outcome outcome, const std::string& reason, Time time);

// 110103 DICOM Instances Accessed, action D (A.5.3.6): a person gave instances up.
// `erased`: no copy is left here that would still be delivered.
[[nodiscard]] Event instances_deleted(const Self& self, const Person& person,
                                      const std::string& reason, const Subject& subject,
                                      const SopClasses& sop_classes, bool erased, Time time);

// 110113 Security Alert (A.5.3.11) of type Node Authentication: a node was turned away.
[[nodiscard]] Event node_refused(const Self& self, const Node& node, Outcome outcome,
                                 const std::string& description, Time time);

// 110113 Security Alert of a type of ours, Storage Fault: CID 403 has none that fits, and
// may be extended. `uri` names the file or folder.
[[nodiscard]] Event storage_fault(const Self& self, const std::string& uri,
                                  const std::string& description, Time time);

// 110113 Security Alert of type Audit Recording Stopped (110133): messages were lost.
[[nodiscard]] Event messages_lost(const Self& self, std::uint64_t count, const std::string& reason,
                                  Time time);

// 110114 User Authentication, Login (A.5.3.12): a TLS client proved by its certificate
// who it is, or failed to.
[[nodiscard]] Event user_authentication(const Self& self, const std::string& user, const Node& node,
                                        Outcome outcome, const std::string& description, Time time);

}  // namespace sluice::audit
