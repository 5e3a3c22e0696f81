// Whether a destination can be reached as the gateway reaches it, and what it takes. Nothing
// is sent to it, and nothing stays behind.
//
//   const Trial trial = try_destination(destination);
//
// Takes as long as the destination's time-outs let it. One thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "gateway/config/config.h"
#include "gateway/net/requestor.h"

namespace sluice {

// An association for Verification.
struct EchoTrial {
  net::Peer peer;
  std::chrono::nanoseconds associated_in{};  // once connected
  std::chrono::nanoseconds echoed_in{};      // means nothing where there was a problem
};

// What is accepted of all storage SOP classes, each in every transfer syntax that can be sent.
struct StorageTrial {
  struct SopClass {
    std::string uid;
    std::vector<std::string> transfer_syntaxes;  // accepted ones; empty: the class is not
  };
  std::vector<std::string> transfer_syntaxes;  // that were proposed
  std::vector<SopClass> classes;               // in DCMTK's order
  std::string problem;                         // "": all were asked for
};

struct FolderTrial {
  bool exists = false;           // else the first delivery makes it
  std::uint64_t free_bytes = 0;  // for who is no administrator
};

struct Trial {
  std::string problem;  // "": it works. May hold text of the peer, to be escaped
  std::string advice;   // what to do about it
  std::optional<EchoTrial> echo;
  std::optional<StorageTrial> storage;
  std::optional<FolderTrial> folder;
};

[[nodiscard]] Trial try_destination(const config::Destination& destination);

// For "dicom" and "dicoms". One association after the other, each released; a peer that is
// busy with the last one, or with others, is given time and a few tries.
[[nodiscard]] Trial try_dicom(const config::Destination& destination);

// For "file".
[[nodiscard]] Trial try_folder(const config::Destination& destination);

}  // namespace sluice
