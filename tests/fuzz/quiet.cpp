#include "tests/fuzz/quiet.h"

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dcobject.h>
#include <dcmtk/oflog/oflog.h>

#include "gateway/base/log.h"

namespace sluice::fuzz {

void keep_quiet() {
  [[maybe_unused]] static const bool done = [] {
    log::configure(log::Level::error, log::Format::human);
    OFLog::configure(OFLogger::OFF_LOG_LEVEL);
    // It would correct what the comparison is about.
    dcmEnableAutomaticInputDataCorrection.set(OFFalse);
    return true;
  }();
}

}  // namespace sluice::fuzz
