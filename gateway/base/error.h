// Expected failure is a value. The code answers "what now?", the message says
// what went wrong, where, and what to do about it.
//
//   Result<File> open(const std::string& path) {
//     if (...) return failure(ErrorCode::transient, "cannot open " + path);
//     return file;
//   }
#pragma once

#include <string>
#include <utility>

#include <tl/expected.hpp>

namespace sluice {

enum class ErrorCode {
  configuration,  // a person must change the configuration
  transient,      // the same call may succeed later: disk full, peer away
  permanent,      // the same call will fail again
  corrupt,        // bytes that break DICOM's rules, or that changed on disk
};

struct Error {
  ErrorCode code = ErrorCode::permanent;
  std::string message;
};

template <typename T>
using Result = tl::expected<T, Error>;

[[nodiscard]] inline tl::unexpected<Error> failure(ErrorCode code, std::string message) {
  return tl::unexpected<Error>(Error{code, std::move(message)});
}

}  // namespace sluice
