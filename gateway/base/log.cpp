#include "gateway/base/log.h"

#include <atomic>
#include <memory>

#include <spdlog/logger.h>
#include <spdlog/sinks/stdout_sinks.h>

namespace sluice::log {
namespace {

// NOLINTNEXTLINE(cppcoreguidelines-avoid-non-const-global-variables): one logger a process
std::atomic<Format> chosen_format{Format::human};

spdlog::logger& logger() {
  static const auto instance = [] {
    auto made = std::make_shared<spdlog::logger>("sluice",
                                                 std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->set_pattern("%Y-%m-%dT%H:%M:%S.%f%z %-7l %v");
    made->flush_on(spdlog::level::trace);
    return made;
  }();
  return *instance;
}

spdlog::level::level_enum to_spdlog(Level level) {
  switch (level) {
    case Level::debug:
      return spdlog::level::debug;
    case Level::info:
      return spdlog::level::info;
    case Level::warning:
      return spdlog::level::warn;
    case Level::error:
      return spdlog::level::err;
  }
  return spdlog::level::err;
}

constexpr std::string_view kHexDigits = "0123456789abcdef";

// Of a JSON string. Bytes above 0x7E become the code points of Latin-1, so that the
// line is valid JSON whatever the network sent.
std::string quote_json(std::string_view text) {
  std::string quoted = "\"";
  for (const char character : text) {
    const auto byte = static_cast<unsigned char>(character);
    if (character == '"' || character == '\\') {
      quoted += '\\';
      quoted += character;
    } else if (byte < 0x20 || byte > 0x7E) {
      quoted += "\\u00";
      quoted += kHexDigits[byte >> 4U];
      quoted += kHexDigits[byte & 0xFU];
    } else {
      quoted += character;
    }
  }
  return quoted + '"';
}

// Bare where it can be told from its neighbours, else quoted.
std::string quote_human(std::string_view text) {
  std::string escaped = escape(text);
  if (escaped.find_first_of(" \"=") == std::string::npos) return escaped;
  std::string quoted = "\"";
  for (const char character : escaped) {
    if (character == '"') quoted += '\\';
    quoted += character;
  }
  return quoted + '"';
}

void write(Level level, std::string_view message, Fields fields) {
  if (!enabled(level)) return;
  std::string line;
  if (chosen_format == Format::json) {
    line = quote_json(message);
    for (const Field& field : fields) {
      line += "," + quote_json(field.name) + ":";
      line += field.is_number ? std::string(field.value()) : quote_json(field.value());
    }
  } else {
    line = message;
    for (const Field& field : fields) {
      if (field.value().empty()) continue;  // says nothing to a person
      line += ' ';
      line += field.name;
      line += '=';
      line += quote_human(field.value());
    }
  }
  logger().log(to_spdlog(level), "{}", line);
}

}  // namespace

void configure(Level level, Format format) {
  chosen_format = format;
  logger().set_level(to_spdlog(level));
  if (format == Format::json) {
    logger().set_pattern(R"({"time":"%Y-%m-%dT%H:%M:%S.%f%z","level":"%l","message":%v})");
  }
}

void set_level(Level level) {
  logger().set_level(to_spdlog(level));
}

bool enabled(Level level) {
  return logger().should_log(to_spdlog(level));
}

void debug(std::string_view message, Fields fields) {
  write(Level::debug, message, fields);
}
void info(std::string_view message, Fields fields) {
  write(Level::info, message, fields);
}
void warning(std::string_view message, Fields fields) {
  write(Level::warning, message, fields);
}
void error(std::string_view message, Fields fields) {
  write(Level::error, message, fields);
}

std::string escape(std::string_view text) {
  std::string escaped;
  escaped.reserve(text.size());
  for (const char character : text) {
    const auto byte = static_cast<unsigned char>(character);
    if (character == '\\') {
      escaped += "\\\\";
    } else if (character == '\n') {
      escaped += "\\n";
    } else if (character == '\r') {
      escaped += "\\r";
    } else if (byte < 0x20 || byte == 0x7F || byte >= 0x80) {
      escaped += "\\x";
      escaped += kHexDigits[byte >> 4U];
      escaped += kHexDigits[byte & 0xFU];
    } else {
      escaped += character;
    }
  }
  return escaped;
}

}  // namespace sluice::log
