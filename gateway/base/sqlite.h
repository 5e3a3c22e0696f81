// SQLite files and statements as values and RAII, for the two stores (queue and ledger).
//
//   auto statement = db->prepare("SELECT id FROM instances WHERE file = ?", {1});
//   for (auto row = statement->step(); row && *row; row = statement->step()) ...
//
// SQLite does not see a bit that changed inside a value. Every connection has the SQL
// function row_sum(...), a 64-bit sum of its arguments and their types, which a table may
// keep beside the columns that matter.
//
// A Connection and its statements belong to one thread at a time; statements must not
// outlive it. Errors carry the path: corrupt when the file is damaged or no database,
// permanent for a broken constraint, transient for all else.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "gateway/base/error.h"

struct sqlite3;
struct sqlite3_stmt;

namespace sluice::sqlite {

// What went wrong, for a caller that must decide whether to trust the file any longer.
enum class Failure {
  none,
  busy,        // another process holds the lock: nothing was changed
  full,        // disk full: nothing was changed
  constraint,  // this statement only
  corrupt,
  other,  // I/O error, out of memory and the like
};

using Value = std::variant<std::nullptr_t, std::int64_t, std::string_view>;

// How a file says what it is, PRAGMA application_id and user_version, and how it gets
// there: `schema` makes the tables of version 1, and each of `steps` is the SQL from one
// version to the next. A new file takes the same way as an old one, so that both have
// the same tables.
struct Format {
  std::int32_t application_id = 0;
  std::string_view schema;
  std::span<const std::string_view> steps = {};

  [[nodiscard]] int version() const { return static_cast<int>(steps.size()) + 1; }
};

class Connection;

// A prepared statement in use. Returns to its connection when destroyed.
class Statement {
 public:
  ~Statement();
  Statement(Statement&& other) noexcept;
  Statement& operator=(Statement&&) = delete;
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  // True when there is a row to read.
  [[nodiscard]] Result<bool> step();
  // All of it, rows ignored.
  [[nodiscard]] Result<void> run();

  // Of the present row; 0 or "" for NULL. Columns count from 0.
  [[nodiscard]] std::int64_t integer(int column) const;
  [[nodiscard]] std::string text(int column) const;
  [[nodiscard]] bool is_null(int column) const;

 private:
  friend class Connection;
  Statement(std::vector<sqlite3_stmt*>& idle, Connection& connection, sqlite3_stmt* statement);
  std::vector<sqlite3_stmt*>* idle_;  // where it goes back to
  Connection* connection_;
  sqlite3_stmt* statement_;
};

class Connection {
 public:
  // Created (mode 0600) when absent. WAL, synchronous=FULL, foreign keys; waits up to
  // 10 s for another process. A file of an older version is brought to this one, all of
  // it or nothing. A file of another kind, or of a newer version, is a configuration error.
  [[nodiscard]] static Result<std::unique_ptr<Connection>> open(const std::string& path,
                                                                const Format& format);

  // A copy in memory; empty when the file is absent. The file is not changed, and
  // another process may go on using it.
  [[nodiscard]] static Result<std::unique_ptr<Connection>> copy_to_memory(const std::string& path,
                                                                          const Format& format);

  // Somebody else's database, for reading only; never made when absent. `at_rest`: nobody
  // writes it meanwhile, so nothing is locked and no file appears beside it; else another
  // process is waited for for a moment only.
  [[nodiscard]] static Result<std::unique_ptr<Connection>> open_foreign(const std::string& path,
                                                                        bool at_rest);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Values stand for the question marks, in order. Texts may hold any bytes.
  [[nodiscard]] Result<Statement> prepare(std::string_view sql,
                                          const std::vector<Value>& values = {}) {
    return prepare(sql, values, Lasting::no);
  }
  [[nodiscard]] Result<void> run(std::string_view sql, const std::vector<Value>& values = {});
  // Several statements, or a pragma that acts when it is compiled. Never cached.
  [[nodiscard]] Result<void> run_script(std::string_view sql);

  [[nodiscard]] std::int64_t last_row_id() const;
  [[nodiscard]] std::int64_t changed_rows() const;  // by the last statement
  [[nodiscard]] bool in_transaction() const;
  // Ends a transaction that is still open; after an error SQLite may have done so.
  void roll_back();

  // Of the last call that failed since clear_failure().
  [[nodiscard]] Failure last_failure() const { return last_failure_; }
  void clear_failure() { last_failure_ = Failure::none; }

 private:
  friend class Statement;
  friend Result<void> check_file(const std::string& path, std::span<const std::string> damaged_rows,
                                 const std::atomic<bool>& stop);
  struct Close {
    void operator()(sqlite3* handle) const;
  };
  using Handle = std::unique_ptr<sqlite3, Close>;

  Connection(std::string path, Handle handle);
  [[nodiscard]] static Result<Handle> open_handle(const std::string& path, const std::string& uri,
                                                  int flags);
  [[nodiscard]] static Result<void> copy(const std::string& path, Connection& memory);
  [[nodiscard]] Result<void> set_up();
  [[nodiscard]] Result<void> check_format(const Format& format);
  [[nodiscard]] Result<void> make_format(const Format& format);
  [[nodiscard]] Result<void> bring_to(const Format& format, int version);
  [[nodiscard]] Result<std::int64_t> read_number(std::string_view sql);
  // Whether the values stay where they are until the statement ends; else they are copied.
  enum class Lasting { no, yes };
  [[nodiscard]] Result<Statement> prepare(std::string_view sql, const std::vector<Value>& values,
                                          Lasting lasting);
  [[nodiscard]] tl::unexpected<Error> fail(int code);

  std::string path_;
  Handle handle_;
  std::map<std::string, std::vector<sqlite3_stmt*>, std::less<>> idle_;
  Failure last_failure_ = Failure::none;
};

// Reads all of a file beside those who use it, and tells whether it is sound: its
// structure, that indices and tables say the same, and that no query of `damaged_rows`
// finds a row; of one that is found, the first column is told. Ends early, without an
// error, once `stop` is set. Errors: corrupt, with what is damaged; transient.
[[nodiscard]] Result<void> check_file(const std::string& path,
                                      std::span<const std::string> damaged_rows,
                                      const std::atomic<bool>& stop);

// The same error as for what SQLite finds itself.
[[nodiscard]] Error damaged(const std::string& path, const std::string& what);

}  // namespace sluice::sqlite
