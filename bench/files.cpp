// What it costs to keep images on this disk, without DICOM: the file operations of a store and
// nothing else, by many writers at a time.
//
//   bench_files --folder F --image ct.dcm --writers 4 --seconds 3 [--unlink]
//
// Each writer makes a file: create <n>.part, write, fdatasync, close, rename to <n>.dcm. Then it
// waits for a commit, which is for all that came meanwhile: one fsync of the folder, about 1 KB
// an instance written to a log, one fdatasync of that. The log begins anew after 4 MB, as
// SQLite's does. With --unlink each commit removes the files of the one before, as when the
// PACS has them by then. Prints JSON, as bench_load does.
#include <array>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <fstream>
#include <iostream>
#include <iterator>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>

#include "bench/tally.h"
#include "bench/wire.h"

namespace sluice::bench {
namespace {

constexpr std::size_t kRecord = 1024;
constexpr std::size_t kLogSize = std::size_t{4} << 20U;

struct Options {
  std::string folder;
  std::string image;
  std::size_t writers = 1;
  double seconds = 3;
  bool unlink = false;
};

void check(int result, const char* what) {
  if (result < 0) fail(what);
}

int open_or_fail(const std::string& path, int flags) {
  const int file = ::open(path.c_str(), flags | O_CLOEXEC, 0600);
  check(file, path.c_str());
  return file;
}

void write_all(int file, const std::string& bytes, off_t at) {
  for (std::size_t done = 0; done < bytes.size();) {
    const ssize_t now =
        ::pwrite(file, bytes.data() + done, bytes.size() - done, at + static_cast<off_t>(done));
    if (now < 0) fail("write");
    done += static_cast<std::size_t>(now);
  }
}

// Commits for all that wait. One thread.
class Committer {
 public:
  explicit Committer(const Options& options)
      : options_(options),
        folder_(open_or_fail(options.folder, O_RDONLY | O_DIRECTORY)),
        log_(open_or_fail(options.folder + "/log", O_RDWR | O_CREAT)),
        thread_([this] { run(); }) {}
  ~Committer() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    thread_.join();
    ::close(folder_);
    ::close(log_);
  }
  Committer(const Committer&) = delete;
  Committer& operator=(const Committer&) = delete;

  // Returns when it is durable.
  void commit(const std::string& path) {
    std::unique_lock lock(mutex_);
    waiting_.push_back(path);
    const std::uint64_t mine = next_;
    wake_.notify_all();
    done_.wait(lock, [&] { return committed_ >= mine; });
  }

 private:
  void run() noexcept {
    try {
      std::unique_lock lock(mutex_);
      for (;;) {
        wake_.wait(lock, [&] { return stopping_ || !waiting_.empty(); });
        if (waiting_.empty()) return;
        const std::vector<std::string> now = std::exchange(waiting_, {});
        const std::uint64_t number = next_++;
        lock.unlock();
        write(now);
        lock.lock();
        committed_ = number;
        done_.notify_all();
      }
    } catch (const std::exception& error) {
      std::cerr << error.what() << '\n';
      std::_Exit(1);
    }
  }

  void write(const std::vector<std::string>& paths) {
    check(::fsync(folder_), "fsync");
    const std::string block(paths.size() * kRecord, 'r');
    if (at_ + block.size() > kLogSize) at_ = 0;
    write_all(log_, block, static_cast<off_t>(at_));
    at_ += block.size();
    check(::fdatasync(log_), "fdatasync");
    if (!options_.unlink) return;
    for (const std::string& path : before_) check(::unlink(path.c_str()), "unlink");
    before_ = paths;
  }

  const Options& options_;
  int folder_;
  int log_;
  std::size_t at_ = 0;
  std::vector<std::string> before_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable done_;
  std::vector<std::string> waiting_;
  std::uint64_t next_ = 1;  // of the commit that takes what waits
  std::uint64_t committed_ = 0;
  bool stopping_ = false;
  std::thread thread_;  // last: it uses all of it
};

void store(const std::string& folder, const std::string& name, const std::string& bytes,
           Committer& committer) {
  const std::string part = folder + "/" + name + ".part";
  const std::string finished = folder + "/" + name + ".dcm";
  const int file = open_or_fail(part, O_WRONLY | O_CREAT | O_EXCL);
  write_all(file, bytes, 0);
  check(::fdatasync(file), "fdatasync");
  check(::close(file), "close");
  check(::rename(part.c_str(), finished.c_str()), "rename");
  committer.commit(finished);
}

nlohmann::json run(const Options& options) {
  std::ifstream image(options.image, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(image), {}};
  if (bytes.empty()) throw std::runtime_error(options.image + ": nothing to read");
  Committer committer(options);
  std::vector<Tally> tallies(options.writers);
  std::vector<std::thread> threads;
  const Clock::time_point begin = Clock::now();
  for (std::size_t writer = 0; writer < options.writers; ++writer) {
    threads.emplace_back([&, writer]() noexcept {
      for (std::size_t n = 0;; ++n) {
        const Clock::time_point from = Clock::now();
        if (std::chrono::duration<double>(from - begin).count() >= options.seconds) return;
        store(options.folder, std::to_string(writer) + "-" + std::to_string(n), bytes, committer);
        tallies[writer].add(from);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  Tally all;
  for (const Tally& tally : tallies) all.add(tally);
  return all.report(begin, bytes.size());
}

}  // namespace
}  // namespace sluice::bench

int main(int argc, char** argv) {
  try {
    sluice::bench::Options options;
    CLI::App app("The file operations of a store, without DICOM");
    app.add_option("--folder", options.folder, "an empty one")->required();
    app.add_option("--image", options.image)->required();
    app.add_option("--writers", options.writers);
    app.add_option("--seconds", options.seconds);
    app.add_flag("--unlink", options.unlink, "remove the files of the commit before");
    CLI11_PARSE(app, argc, argv);
    std::cout << sluice::bench::run(options).dump() << '\n';
    return 0;
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
