#include "gateway/base/file_descriptor.h"

#include <cerrno>

#include <unistd.h>

namespace sluice {

int FileDescriptor::close() noexcept {
  if (number_ < 0) return 0;
  const int number = release();
  if (::close(number) == 0) return 0;
  // Linux has released the descriptor also when a signal came in between: closing
  // again could close a stranger's.
  return errno == EINTR ? 0 : errno;
}

}  // namespace sluice
