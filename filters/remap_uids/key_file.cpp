#include "filters/remap_uids/key_file.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <string_view>

#include <sys/stat.h>

#include "gateway/base/log.h"

namespace sluice {
namespace {

constexpr std::size_t kLeast = 32;
constexpr std::size_t kMost = 4096;  // more is a file of another kind

}  // namespace

Result<std::string> read_key_file(const std::string& path) {
  const std::string name = log::escape(path);
  const auto mistake = [&](const std::string& what) {
    return failure(ErrorCode::configuration, "key_file " + name + what);
  };
  struct stat state {};
  if (::stat(path.c_str(), &state) != 0) {
    return mistake(std::string(" cannot be read: ") + std::strerror(errno));
  }
  // Else a start would wait for whoever writes into a pipe.
  if (!S_ISREG(state.st_mode)) return mistake(" is no file");
  if ((state.st_mode & (S_IROTH | S_IWOTH)) != 0) {
    return mistake(": everybody on this machine can use the key; chmod o-rw " + name);
  }
  std::ifstream file(path, std::ios::binary);
  std::string key(kMost + 1, '\0');
  if (!file) return mistake(std::string(" cannot be read: ") + std::strerror(errno));
  file.read(key.data(), static_cast<std::streamsize>(key.size()));
  if (file.bad()) return mistake(" cannot be read: input/output error");
  key.resize(static_cast<std::size_t>(file.gcount()));
  if (key.size() > kMost) return mistake(" is no key: it has more than 4096 bytes");
  key.resize(key.find_last_not_of(" \t\r\n\v\f") + 1);
  if (key.size() < kLeast) {
    return mistake(
        " is too short to be a secret: 32 bytes at least; openssl rand -hex 32 makes some");
  }
  return key;
}

}  // namespace sluice
