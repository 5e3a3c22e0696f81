// No log lines: what is said of hostile input would fill the disk.
#pragma once

namespace sluice::fuzz {

// Sluice's log and DCMTK's. Called by every target that can cause a line.
void keep_quiet();

}  // namespace sluice::fuzz
