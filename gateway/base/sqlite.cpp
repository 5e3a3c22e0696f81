#include "gateway/base/sqlite.h"

#include <array>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <memory>
#include <new>
#include <span>
#include <system_error>
#include <thread>
#include <type_traits>
#include <utility>

#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>
#include <xxhash.h>

#include "gateway/base/durable_file.h"
#include "gateway/base/log.h"
#include "gateway/base/sqlite_vfs.h"

namespace sluice::sqlite {
namespace {

namespace fs = std::filesystem;

constexpr int kBusyTimeoutMs = 10'000;
constexpr int kForeignTimeoutMs = 500;

Failure failure_of(int code) {
  // The index of the write-ahead log, made anew after each crash: nothing durable is in it.
  if (code == SQLITE_IOERR_SHMSIZE) return Failure::full;
  switch (code & 0xFF) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return Failure::busy;
    case SQLITE_FULL:
      return Failure::full;
    case SQLITE_CONSTRAINT:
      return Failure::constraint;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return Failure::corrupt;
    default:
      return Failure::other;
  }
}

Error describe(const std::string& path, int code, const std::string& message) {
  const std::string text = path + ": " + message + " (SQLite " + std::to_string(code) + ")";
  switch (failure_of(code)) {
    case Failure::corrupt:
      return {ErrorCode::corrupt,
              text +
                  "; look first whether the disk fails to read it (dmesg). Else restore the file "
                  "from a backup, or move it and its -wal file away to start with an empty one"};
    case Failure::constraint:
      return {ErrorCode::permanent, text};
    case Failure::full:
      return {ErrorCode::transient, text + "; free space on this disk"};
    case Failure::busy:
      return {ErrorCode::transient, text + "; another process holds it"};
    default:
      return {ErrorCode::transient, text};
  }
}

tl::unexpected<Error> unusable(const std::string& path, std::string_view operation,
                               int error_number) {
  return failure(ErrorCode::configuration, std::string("cannot ") + std::string(operation) + " " +
                                               path + ": " +
                                               std::generic_category().message(error_number) +
                                               "; check that the gateway's user may write there");
}

// SQLite would make the file by the umask, readable by others; its -wal and -shm files
// take the mode of the file. Opened only when new: closing a second descriptor of a
// database drops the POSIX locks that this process holds on it.
Result<void> create_private(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file < 0) {
    if (errno == EEXIST) return {};
    return unusable(path, "create", errno);
  }
  ::close(file);  // empty: nothing to lose
  return {};
}

// The name of a new file is durable only when its folder was synced.
Result<void> sync_folder_of(const std::string& path) {
  const std::string folder = fs::path(path).parent_path().string();
  const int error_number = sync_folder(folder);
  if (error_number != 0) return unusable(folder, "sync", error_number);
  return {};
}

std::string to_uri(const std::string& path, std::string_view parameters) {
  constexpr std::string_view kHexDigits = "0123456789ABCDEF";
  std::string uri = "file:";
  for (const char c : path) {
    if (c == '%' || c == '?' || c == '#') {
      const auto byte = static_cast<unsigned char>(c);
      uri += {'%', kHexDigits[byte >> 4U], kHexDigits[byte & 0xFU]};
    } else {
      uri += c;
    }
  }
  return uri + "?" + std::string(parameters);
}

// Little endian whatever the machine: a file may move to another.
void add_number(std::string& bytes, std::uint64_t number) {
  for (unsigned shift = 0; shift < 64; shift += 8) {
    bytes += static_cast<char>(number >> shift & 0xFFU);
  }
}

// Each argument behind its type, and a text behind its length: no two rows read the same.
void row_sum(sqlite3_context* context, int count, sqlite3_value** values) try {
  thread_local std::string bytes;
  bytes.clear();
  for (sqlite3_value* value : std::span(values, static_cast<std::size_t>(count))) {
    const int type = sqlite3_value_type(value);
    add_number(bytes, static_cast<std::uint64_t>(type));
    if (type == SQLITE_INTEGER) {
      add_number(bytes, static_cast<std::uint64_t>(sqlite3_value_int64(value)));
      continue;
    }
    const void* text = sqlite3_value_blob(value);
    const auto length = static_cast<std::size_t>(sqlite3_value_bytes(value));
    add_number(bytes, length);
    if (length > 0) bytes.append(static_cast<const char*>(text), length);
  }
  sqlite3_result_int64(context, static_cast<std::int64_t>(XXH3_64bits(bytes.data(), bytes.size())));
} catch (const std::bad_alloc&) {
  sqlite3_result_error_nomem(context);
}

}  // namespace

Error damaged(const std::string& path, const std::string& what) {
  return describe(path, SQLITE_CORRUPT, what);
}

Statement::Statement(std::vector<sqlite3_stmt*>& idle, Connection& connection,
                     sqlite3_stmt* statement)
    : idle_(&idle), connection_(&connection), statement_(statement) {}

Statement::Statement(Statement&& other) noexcept
    : idle_(other.idle_),
      connection_(other.connection_),
      statement_(std::exchange(other.statement_, nullptr)) {}

Statement::~Statement() {
  if (statement_ == nullptr) return;
  (void)sqlite3_reset(statement_);  // repeats the error of the last step
  (void)sqlite3_clear_bindings(statement_);
  try {
    idle_->push_back(statement_);
  } catch (const std::bad_alloc&) {
    (void)sqlite3_finalize(statement_);
  }
}

Result<bool> Statement::step() {
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return connection_->fail(code);
}

Result<void> Statement::run() {
  for (;;) {
    const auto row = step();
    if (!row) return tl::unexpected(row.error());
    if (!*row) return {};
  }
}

std::int64_t Statement::integer(int column) const {
  return sqlite3_column_int64(statement_, column);
}

std::string Statement::text(int column) const {
  // The bytes first: a conversion to text would change their number.
  const void* bytes = sqlite3_column_blob(statement_, column);
  const int length = sqlite3_column_bytes(statement_, column);
  if (bytes == nullptr || length <= 0) return {};
  return {static_cast<const char*>(bytes), static_cast<std::size_t>(length)};
}

bool Statement::is_null(int column) const {
  return sqlite3_column_type(statement_, column) == SQLITE_NULL;
}

void Connection::Close::operator()(sqlite3* handle) const {
  sqlite3_close_v2(handle);
}

Connection::Connection(std::string path, Handle handle)
    : path_(std::move(path)), handle_(std::move(handle)) {}

Connection::~Connection() {
  for (auto& [sql, statements] : idle_) {
    for (sqlite3_stmt* statement : statements) sqlite3_finalize(statement);
  }
}

Result<Connection::Handle> Connection::open_handle(const std::string& path, const std::string& uri,
                                                   int flags) {
  // Nobody asks how much memory it has, and counting that takes a lock at each allocation.
  static const int configured = sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
  (void)configured;
  sqlite3* raw = nullptr;
  const int code = sqlite3_open_v2(uri.c_str(), &raw, flags | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX,
                                   yielding_vfs());
  Handle handle(raw);
  if (code != SQLITE_OK) {
    return tl::unexpected(
        describe(path, code, raw != nullptr ? sqlite3_errmsg(raw) : sqlite3_errstr(code)));
  }
  (void)sqlite3_extended_result_codes(raw, 1);
  (void)sqlite3_busy_timeout(raw, kBusyTimeoutMs);
  const int made =
      sqlite3_create_function_v2(raw, "row_sum", -1, SQLITE_UTF8 | SQLITE_DETERMINISTIC, nullptr,
                                 &row_sum, nullptr, nullptr, nullptr);
  if (made != SQLITE_OK) return tl::unexpected(describe(path, made, sqlite3_errmsg(raw)));
  return handle;
}

Result<std::unique_ptr<Connection>> Connection::open(const std::string& path,
                                                     const Format& format) {
  if (auto created = create_private(path); !created) return tl::unexpected(created.error());
  auto handle = open_handle(path, to_uri(path, "mode=rw"), SQLITE_OPEN_READWRITE);
  if (!handle) return tl::unexpected(handle.error());
  std::unique_ptr<Connection> connection(new Connection(path, std::move(*handle)));
  if (auto set_up = connection->set_up(); !set_up) return tl::unexpected(set_up.error());
  if (auto checked = connection->check_format(format); !checked) {
    return tl::unexpected(checked.error());
  }
  if (auto synced = sync_folder_of(path); !synced) return tl::unexpected(synced.error());
  return connection;
}

Result<std::unique_ptr<Connection>> Connection::open_foreign(const std::string& path,
                                                             bool at_rest) {
  auto handle = open_handle(path, to_uri(path, at_rest ? "mode=ro&immutable=1" : "mode=ro"),
                            SQLITE_OPEN_READONLY);
  if (!handle) return tl::unexpected(handle.error());
  (void)sqlite3_busy_timeout(handle->get(), kForeignTimeoutMs);
  return std::unique_ptr<Connection>(new Connection(path, std::move(*handle)));
}

Result<std::unique_ptr<Connection>> Connection::copy_to_memory(const std::string& path,
                                                               const Format& format) {
  auto handle =
      open_handle(":memory:", "file::memory:", SQLITE_OPEN_READWRITE | SQLITE_OPEN_MEMORY);
  if (!handle) return tl::unexpected(handle.error());
  std::unique_ptr<Connection> memory(new Connection(path, std::move(*handle)));
  std::error_code error;
  const bool exists = fs::exists(path, error);
  if (error) return unusable(path, "find", error.value());
  if (exists) {
    if (auto copied = copy(path, *memory); !copied) return tl::unexpected(copied.error());
  }
  if (auto checked = memory->check_format(format); !checked) {
    return tl::unexpected(checked.error());
  }
  return memory;
}

// With a -wal file a gateway is running, or was killed: SQLite's own locking then gives
// one state of the file, and readers stop no writer. Without one the file is at rest:
// reading it as immutable leaves no -wal and -shm files behind. Should a gateway start
// meanwhile, there is a -wal file afterwards, and the copy is made again.
Result<void> Connection::copy(const std::string& path, Connection& memory) {
  const std::string log_path = path + "-wal";
  std::error_code error;
  for (bool at_rest = !fs::exists(log_path, error);; at_rest = false) {
    auto source = open_handle(path, to_uri(path, at_rest ? "mode=ro&immutable=1" : "mode=ro"),
                              SQLITE_OPEN_READONLY);
    if (!source) return tl::unexpected(source.error());
    sqlite3_backup* backup =
        sqlite3_backup_init(memory.handle_.get(), "main", source->get(), "main");
    if (backup == nullptr) return memory.fail(sqlite3_extended_errcode(memory.handle_.get()));
    const int stepped = sqlite3_backup_step(backup, -1);
    const int finished = sqlite3_backup_finish(backup);
    if (at_rest && fs::exists(log_path, error)) continue;
    if (stepped != SQLITE_DONE)
      return tl::unexpected(describe(path, stepped, sqlite3_errstr(stepped)));
    if (finished != SQLITE_OK) return memory.fail(finished);
    // The copy bears the mark of WAL, which a database in memory cannot have.
    return memory.run_script("PRAGMA journal_mode = MEMORY");
  }
}

Result<void> Connection::set_up() {
  {
    auto mode = prepare("PRAGMA journal_mode = WAL");
    if (!mode) return tl::unexpected(mode.error());
    const auto row = mode->step();
    if (!row) return tl::unexpected(row.error());
    if (!*row || mode->text(0) != "wal") {
      return failure(ErrorCode::configuration,
                     path_ +
                         ": SQLite cannot use its write-ahead log here; put data_dir on a "
                         "local disk");
    }
  }
  return run_script(
      "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY; "
      "PRAGMA cache_size = -8192");
}

Result<std::int64_t> Connection::read_number(std::string_view sql) {
  auto statement = prepare(sql);
  if (!statement) return tl::unexpected(statement.error());
  const auto row = statement->step();
  if (!row) return tl::unexpected(row.error());
  return *row ? statement->integer(0) : 0;
}

// From this version, 0 for an empty file, to the format's. In the caller's transaction.
Result<void> Connection::bring_to(const Format& format, int version) {
  std::string script = version == 0 ? std::string(format.schema) + ";\n" : "";
  const std::size_t done = version == 0 ? 0 : static_cast<std::size_t>(version) - 1;
  for (const std::string_view step : format.steps.subspan(done)) {
    script += std::string(step) + ";\n";
  }
  script += "PRAGMA application_id = " + std::to_string(format.application_id) +
            "; PRAGMA user_version = " + std::to_string(format.version());
  if (auto run = run_script(script); !run) return run;
  if (version != 0) {
    log::info("database brought to a newer format",
              {{"path", path_}, {"from", version}, {"to", format.version()}});
  }
  return {};
}

Result<void> Connection::check_format(const Format& format) {
  const auto is_as_expected = [&]() -> Result<bool> {
    const auto id = read_number("PRAGMA application_id");
    const auto version = read_number("PRAGMA user_version");
    for (const auto* number : {&id, &version}) {
      if (!*number) return tl::unexpected(number->error());
    }
    return *id == format.application_id && *version == format.version();
  };
  const auto unlocked = is_as_expected();
  if (!unlocked) return tl::unexpected(unlocked.error());
  if (*unlocked) return {};
  // The lock before a second look: of two that find a file empty or old, one makes it right.
  if (auto begun = run("BEGIN IMMEDIATE"); !begun) return begun;
  auto checked = make_format(format);
  if (checked) checked = run("COMMIT");
  roll_back();
  return checked;
}

// With the lock held.
Result<void> Connection::make_format(const Format& format) {
  const auto id = read_number("PRAGMA application_id");
  const auto version = read_number("PRAGMA user_version");
  const auto tables = read_number("SELECT count(*) FROM sqlite_master");
  for (const auto* number : {&id, &version, &tables}) {
    if (!*number) return tl::unexpected(number->error());
  }
  if (*id == 0 && *version == 0 && *tables == 0) return bring_to(format, 0);
  if (*id != format.application_id) {
    return failure(ErrorCode::configuration,
                   path_ +
                       ": not the database that is expected here; look whether files were "
                       "exchanged");
  }
  if (*version < 1 || *version > format.version()) {
    return failure(ErrorCode::configuration, path_ + ": has format " + std::to_string(*version) +
                                                 ", this program knows " +
                                                 std::to_string(format.version()) +
                                                 "; start the version of Sluice that wrote it");
  }
  return bring_to(format, static_cast<int>(*version));
}

Result<Statement> Connection::prepare(std::string_view sql, const std::vector<Value>& values,
                                      Lasting lasting) {
  sqlite3_stmt* raw = nullptr;
  auto idle = idle_.find(sql);
  if (idle == idle_.end()) idle = idle_.emplace(std::string(sql), 0).first;
  if (!idle->second.empty()) {
    raw = idle->second.back();
    idle->second.pop_back();
  } else {
    const int code = sqlite3_prepare_v3(handle_.get(), sql.data(), static_cast<int>(sql.size()),
                                        SQLITE_PREPARE_PERSISTENT, &raw, nullptr);
    if (code != SQLITE_OK) return fail(code);
  }
  Statement statement(idle->second, *this, raw);
  const sqlite3_destructor_type keeping =
      lasting == Lasting::yes ? SQLITE_STATIC : SQLITE_TRANSIENT;
  int index = 0;
  for (const Value& value : values) {
    ++index;
    const int code = std::visit(
        [&](const auto& v) {
          using Type = std::decay_t<decltype(v)>;
          if constexpr (std::is_same_v<Type, std::int64_t>) {
            return sqlite3_bind_int64(raw, index, v);
          } else if constexpr (std::is_same_v<Type, std::string_view>) {
            // A null pointer would bind NULL.
            return sqlite3_bind_text64(raw, index, v.empty() ? "" : v.data(), v.size(), keeping,
                                       SQLITE_UTF8);
          } else {
            return sqlite3_bind_null(raw, index);
          }
        },
        value);
    if (code != SQLITE_OK) return fail(code);
  }
  return statement;
}

Result<void> Connection::run(std::string_view sql, const std::vector<Value>& values) {
  auto statement = prepare(sql, values, Lasting::yes);
  if (!statement) return tl::unexpected(statement.error());
  return statement->run();
}

Result<void> Connection::run_script(std::string_view sql) {
  const int code = sqlite3_exec(handle_.get(), std::string(sql).c_str(), nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return fail(code);
  return {};
}

std::int64_t Connection::last_row_id() const {
  return sqlite3_last_insert_rowid(handle_.get());
}

std::int64_t Connection::changed_rows() const {
  return sqlite3_changes64(handle_.get());
}

bool Connection::in_transaction() const {
  return sqlite3_get_autocommit(handle_.get()) == 0;
}

void Connection::roll_back() {
  if (!in_transaction()) return;
  if (auto done = run_script("ROLLBACK"); !done) {
    // SQLite ends the transaction in any case when the connection closes.
    log::error("rollback failed", {{"error", done.error().message}});
  }
}

tl::unexpected<Error> Connection::fail(int code) {
  last_failure_ = failure_of(code);
  return tl::unexpected(describe(path_, code, sqlite3_errmsg(handle_.get())));
}

Result<void> check_file(const std::string& path, std::span<const std::string> damaged_rows,
                        const std::atomic<bool>& stop) {
  constexpr int kInstructionsAtOnce = 20'000;  // some milliseconds of work
  static constexpr std::chrono::milliseconds kPause{6};
  auto handle = Connection::open_handle(path, to_uri(path, "mode=rw"), SQLITE_OPEN_READWRITE);
  if (!handle) return tl::unexpected(handle.error());
  // SQLite's argument is no pointer to const; the handler only reads it.
  sqlite3_progress_handler(
      handle->get(), kInstructionsAtOnce,
      [](void* flag) {
        // On purpose: years of history are read at leisure, and images find processor and disk
        // free.
        std::this_thread::sleep_for(kPause);
        return static_cast<const std::atomic<bool>*>(flag)->load() ? 1 : 0;
      },
      const_cast<std::atomic<bool>*>(&stop));  // NOLINT(*-const-cast): see above
  Connection connection(path, std::move(*handle));
  // The first column of the first row; `sound` where there is none.
  const auto ask = [&](std::string_view query, std::string sound) -> Result<std::string> {
    auto checking = connection.prepare(query);
    if (!checking) return tl::unexpected(checking.error());
    const auto row = checking->step();
    if (!row) return tl::unexpected(row.error());
    return *row ? checking->text(0) : std::move(sound);
  };
  // Not quick_check: it does not compare the indices, by which rows are found, with them.
  auto found = ask("PRAGMA integrity_check(1)", "ok");
  for (const std::string& query : damaged_rows) {
    if (!found || *found != "ok") break;
    found = ask(query, "ok");
  }
  if (stop) return {};
  if (!found) return tl::unexpected(found.error());
  if (*found == "ok") return {};
  return tl::unexpected(damaged(path, *found));
}

}  // namespace sluice::sqlite
