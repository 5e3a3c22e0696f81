#include "gateway/net/dcmtk_log.h"

#include <string>

#include <dcmtk/config/osconfig.h>
#include <dcmtk/oflog/appender.h>
#include <dcmtk/oflog/oflog.h>
#include <dcmtk/oflog/spi/logevent.h>

#include "gateway/base/log.h"

namespace sluice::net {
namespace {

namespace log4cplus = dcmtk::log4cplus;

class Appender final : public log4cplus::Appender {
 public:
  Appender() = default;
  ~Appender() override { destructorImpl(); }
  Appender(const Appender&) = delete;
  Appender& operator=(const Appender&) = delete;
  void close() override {}

 protected:
  void append(const log4cplus::spi::InternalLoggingEvent& event) override {
    log::debug("dcmtk", {{"text", event.getMessage()}});
  }
};

}  // namespace

void route_dcmtk_log() {
  OFLog::configure(OFLogger::WARN_LOG_LEVEL);
  log4cplus::Logger root = log4cplus::Logger::getRoot();
  root.removeAllAppenders();
  // The logger counts references and deletes the appender with the last.
  root.addAppender(log4cplus::SharedAppenderPtr(new Appender));
}

}  // namespace sluice::net
