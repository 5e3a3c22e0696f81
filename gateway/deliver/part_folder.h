// Where files of a destination's folder are while they are written.
#pragma once

namespace sluice {

inline constexpr const char* kPartFolder = ".sluice-parts";

}  // namespace sluice
