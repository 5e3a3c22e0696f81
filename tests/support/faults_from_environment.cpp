// Linked into the program, it reads SLUICE_TEST_FAULT before main().
#include "tests/support/failing_calls.h"

namespace {

[[gnu::constructor]] void read() {
  sluice::test::read_environment();
}

}  // namespace
