// SQLite's own way to files, but that what it does at leisure is done in small pieces. A commit
// that nobody waits for, or a checkpoint, writes a thousand pages and syncs them:
//
// - Linux lets a thread finish its slice, and who waits for the processor behind it stands still
//   for milliseconds. So it gives way every few pages.
// - A disk takes its work in order, and what others sync behind four megabytes waits for these.
//   So they are synced every 256 KiB.
#pragma once

namespace sluice::sqlite {

// Its name, for sqlite3_open_v2(). nullptr, the default, when there is no memory for it.
[[nodiscard]] const char* yielding_vfs();

}  // namespace sluice::sqlite
