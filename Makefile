# Everything a newcomer types. The work is done by CMake and the scripts.
#
#   make run     builds, then shows real images going through the gateway
#   make build   installs what is missing and builds build/release/sluice
#   make test    builds and runs all tests
#   make soak    kills the gateway while it works, again and again, and counts what was lost
#   make bench   measures it beside HAProxy, DCMTK's tools and Orthanc; BENCH="--list" has more
#   make check   format, includes, systemd units, linter
#   make fuzz    feeds hostile bytes to what reads them, SLUICE_FUZZ_SECONDS each
#   make clean   removes what was built

.PHONY: run build test soak bench check fuzz clean packages

run: build
	scripts/run_demo.py

build: packages
	scripts/build.sh release sluice

test: packages
	scripts/build.sh release
	scripts/test.sh release

soak: packages
	scripts/build.sh release sluice_soak
	build/release/tests/crash/sluice_soak $(SOAK)

bench:
	scripts/install_packages.sh build bench
	scripts/build.sh release sluice bench_programs
	bench/run.py $(BENCH)

check:
	scripts/install_packages.sh build check
	scripts/check.sh

fuzz:
	scripts/install_packages.sh build fuzz
	scripts/build.sh asan fuzz
	scripts/fuzz.sh

packages:
	scripts/install_packages.sh build

clean:
	rm -rf build
