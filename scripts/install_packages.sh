#!/bin/bash
# Installs the Debian packages that Sluice needs; the lists stand here and nowhere else.
#
#   scripts/install_packages.sh [build] [check] [fuzz] [bench]     default: build
#
# build     to build, test and run
# check     for `make check`: formatter, linter, and what grades the systemd unit
# fuzz      for `make fuzz` and the preset asan: clang, its sanitizers and libFuzzer
# bench     for `make bench`: what Sluice is measured beside; their packages start services
#
# Does nothing when all are there. Else needs root or sudo.
set -euo pipefail

build=(
  ccache cmake g++ make ninja-build pkg-config
  dcmtk libdcmtk-dev
  libboost1.81-dev libcli11-dev libexpected-dev libhowardhinnant-date-dev libre2-dev libspdlog-dev libsqlite3-dev libssl-dev
  libtomlplusplus-dev libxxhash-dev nlohmann-json3-dev prometheus-cpp-dev tzdata zlib1g-dev
  faketime libgmock-dev libgtest-dev libxml2-utils python3 python3-pydicom sqlite3
)
check=(clang-format-14 clang-tidy-14 systemd)
fuzz=(clang-14 libclang-rt-14-dev)
bench=(fonts-dejavu-core gnuplot-nox haproxy orthanc)

wanted=()
for list in "${@:-build}"; do
  case "$list" in
    build) wanted+=("${build[@]}") ;;
    check) wanted+=("${check[@]}") ;;
    fuzz) wanted+=("${fuzz[@]}") ;;
    bench) wanted+=("${bench[@]}") ;;
    *) echo "install_packages.sh: unknown list '$list'; known: build, check, fuzz, bench" >&2; exit 2 ;;
  esac
done

command -v dpkg-query > /dev/null || {
  echo "install_packages.sh: this is no Debian; install by hand: ${wanted[*]}" >&2
  exit 1
}

# dpkg-query fails as soon as one package is unknown, and still tells of the others.
installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "${wanted[@]}" 2> /dev/null || true)
missing=()
for package in "${wanted[@]}"; do
  grep -qxF "installed $package" <<< "$installed" || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

echo "installing ${missing[*]}"
as_root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo > /dev/null || {
    echo "install_packages.sh: needs root or sudo to install: ${missing[*]}" >&2
    exit 1
  }
  as_root=(sudo)
fi
wait_for_lock=(-o DPkg::Lock::Timeout=120)
"${as_root[@]}" apt-get "${wait_for_lock[@]}" -q update
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
  apt-get "${wait_for_lock[@]}" -q -y --no-install-recommends install "${missing[@]}"
