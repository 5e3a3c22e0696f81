#include "gateway/command/site_key.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iostream>

#include <fcntl.h>
#include <openssl/rand.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/base/durable_file.h"
#include "gateway/base/log.h"

namespace sluice::command {
namespace {

constexpr std::size_t kKeyBytes = 32;

std::string key_file(const std::string& data_dir) {
  return data_dir + "/site.key";
}

tl::unexpected<Error> failed(const std::string& operation, const std::string& path) {
  return failure(ErrorCode::configuration, operation + " " + path + ": " + std::strerror(errno));
}

Result<std::string> random_key() {
  std::array<unsigned char, kKeyBytes> bytes{};
  if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1) {
    return failure(ErrorCode::transient, "the system gave no random bytes for a site key");
  }
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string key;
  for (const unsigned char byte : bytes) {
    key += kDigits[byte >> 4U];
    key += kDigits[byte & 0xFU];
  }
  return key;
}

}  // namespace

Result<std::optional<std::string>> read_site_key(const std::string& data_dir) {
  const std::string path = key_file(data_dir);
  if (::access(path.c_str(), F_OK) != 0 && errno == ENOENT) return std::nullopt;
  std::ifstream file(path);
  if (!file) return failed("cannot read", path);
  std::string key;
  file >> key;
  if (key.size() != 2 * kKeyBytes ||
      key.find_first_not_of("0123456789abcdef") != std::string::npos) {
    return failure(ErrorCode::configuration,
                   path +
                       " is no site key (64 hex digits); put the right one back: with another "
                       "key the same UID would get another replacement");
  }
  return key;
}

Result<std::string> read_or_make_site_key(const std::string& data_dir) {
  auto key = read_site_key(data_dir);
  if (!key) return tl::unexpected(key.error());
  if (*key) return std::move(**key);
  // The first start makes the key before the ledger: with a ledger it was lost.
  if (::access((data_dir + "/ledger.db").c_str(), F_OK) == 0) {
    return failure(ErrorCode::configuration,
                   data_dir +
                       " has a ledger, but site.key is gone; put it back from a backup or "
                       "another gateway of the site: with a new key, UIDs that were "
                       "replaced before would be replaced by others");
  }
  auto made = random_key();
  if (!made) return made;
  const std::string path = key_file(data_dir);
  errno = write_durably(path, *made + "\n");
  if (errno != 0) return failed("cannot make", path);
  log::warning(
      "made a site key: replaced UIDs depend on it; copy this file to every gateway of the "
      "site, and keep it as secret and as safe as the data",
      {{"file", path}});
  return made;
}

Result<std::string> key_for_looking(const std::string& data_dir) {
  auto key = read_site_key(data_dir);
  if (!key) return tl::unexpected(key.error());
  if (*key) return std::move(**key);
  std::cerr << "sluice: " << data_dir
            << " has no site key yet; hashed UIDs will differ from those of `sluice serve`\n";
  return random_key();
}

}  // namespace sluice::command
