// A file, one message a line. Appends; when somebody has moved it away, as logrotate does,
// the next message makes a new one. A line that a crash or a full disk has torn is ended
// before the next.
#pragma once

#include <memory>
#include <string>

#include "gateway/audit/transport.h"

namespace sluice::audit {

[[nodiscard]] std::unique_ptr<Transport> make_file_transport(const std::string& path);

}  // namespace sluice::audit
