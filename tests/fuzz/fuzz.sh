#!/usr/bin/env bash
# ctest's way to the fuzzers: `--build`, or the name of one, which then runs for $FUZZ_SECONDS (20).
set -euo pipefail
cd "$PENSTOCK_SOURCE"
if ! command -v clang++ >/dev/null; then
  echo "skipped: fuzzing needs clang++ (packages: $(paste -sd' ' deploy/packages/fuzz.txt)); ./dev fuzz installs it"
  exit 77
fi
if [[ $1 == --build ]]; then exec ./dev fuzz --build; fi
exec ./dev fuzz --no-build --seconds "${FUZZ_SECONDS:-20}" "$1"
