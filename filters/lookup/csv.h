// Comma-separated values (RFC 4180) in memory, record by record. Lines end in CRLF or LF,
// in quotes too; blank lines are none.
//
//   Csv csv(text, ',');
//   for (auto record = csv.next(); record && *record; record = csv.next()) ... csv.fields() ...
//
// One thread. The text must outlive it.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/base/error.h"

namespace sluice {

class Csv {
 public:
  Csv(std::string_view text, char delimiter) : text_(text), delimiter_(delimiter) {}

  // True when there is a record to read. Errors: configuration, when a quote is not where it
  // may be; line() tells where the record begins, and reading ends.
  [[nodiscard]] Result<bool> next();

  [[nodiscard]] const std::vector<std::string>& fields() const { return fields_; }
  [[nodiscard]] std::size_t line() const { return line_; }  // counted from 1

 private:
  [[nodiscard]] Result<void> read_field();
  [[nodiscard]] Result<void> read_quoted(std::string& field);
  [[nodiscard]] bool is_at_line_end() const;
  void skip_line_end();

  std::string_view text_;
  char delimiter_;
  std::vector<std::string> fields_;
  std::size_t at_ = 0;
  std::size_t line_ = 0;
  std::size_t next_line_ = 1;
};

}  // namespace sluice
