#!/usr/bin/env bash
# Runs every lint check and says for each whether it passed. `./dev lint` calls it.
# --results FILE writes `pass|fail|skip <name>` lines; --tidy adds clang-tidy over build/release.
set -uo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../.." || exit 1
python=/usr/bin/python3
results=/dev/null
tidy=no
while (($#)); do
  case $1 in
    --results) results=${2:?--results needs a file} && shift ;;
    --tidy) tidy=yes ;;
    *) echo "lint: unknown option '$1'; expected --tidy or --results FILE" >&2 && exit 2 ;;
  esac
  shift
done

failed=0
# check NAME command…: exit code 0 is a pass, 77 a skip, anything else a failure.
check() {
  local name=$1 output status verdict
  shift
  output=$("$@" 2>&1)
  status=$?
  case $status in
    0) verdict=pass ;;
    77) verdict=skip ;;
    *) verdict=fail && failed=1 ;;
  esac
  printf '%s %s\n' "$verdict" "$name" | tee -a "$results"
  if [[ -n $output ]]; then printf '%s\n' "$output" | sed 's/^/    /'; fi
}

# shellcheck disable=SC2317  # The functions below are called through `check`.
check_format() {
  local found
  found=$("$python" tests/lint/sources.py .h .cc |
    xargs -r -d '\n' /usr/bin/clang-format --dry-run --Werror 2>&1 |
    sed -n 's/^\([^ :]*\):.*clang-format-violations.*/\1/p' | sort | uniq -c)
  if [[ -z $found ]]; then return 0; fi
  echo "not as clang-format would have it (./dev fmt does it); places in each file:"
  echo "$found"
  return 1
}

# shellcheck disable=SC2317
check_shell() {
  "$python" tests/lint/sources.py .sh | xargs -r -d '\n' shellcheck dev .ci/run
}

# shellcheck disable=SC2317
check_tidy() {
  [[ -f build/release/compile_commands.json ]] || {
    echo "needs a configured build: run ./dev build first"
    return 1
  }
  "$python" tests/lint/sources.py .cc | grep -E '^(libs|services|tools)/' |
    xargs -r -d '\n' -P "$(nproc)" -n 4 clang-tidy -p build/release --quiet
}

if [[ $results != /dev/null ]]; then : >"$results"; fi
check self-test "$python" tests/lint/self_test.py
check format check_format
for name in layers headers sizes docs forbidden; do
  check "$name" "$python" "tests/lint/$name.py"
done
check shell check_shell
check protos tests/lint/buf.sh
if [[ $tidy == yes ]]; then check tidy check_tidy; fi
exit "$failed"
