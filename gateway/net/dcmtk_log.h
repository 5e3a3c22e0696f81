// DCMTK's own log lines, through the one logger: they may hold text from the network,
// which DCMTK writes raw.
#pragma once

namespace sluice::net {

// Once, before other threads start. What DCMTK warns of is told by whoever called it;
// so its lines are for debugging.
void route_dcmtk_log();

}  // namespace sluice::net
