#!/usr/bin/env bash
# lint.sh openapi.json: no error and no warning of `redocly lint` with its recommended rules. Uses a `redocly` in PATH,
# else the one that npm can install under build/node; exits 77 where there is neither.
set -euo pipefail
document=$(readlink -f "${1:?expected openapi.json}")
cd "${PENSTOCK_SOURCE:?}"

skip() {
  echo "skipped: $*" >&2
  exit 77
}

# A folder of its own, so that another installation at the same time does no harm.
find_redocly() {
  local folder=build/node/redocly
  if command -v redocly; then return 0; fi
  if [[ ! -x $folder/node_modules/.bin/redocly ]]; then
    command -v npm >/dev/null || skip "found neither redocly nor npm"
    mkdir -p "$folder"
    timeout 120 npm install --silent --no-audit --no-fund --prefix "$folder" @redocly/cli@2 >"$folder/install.log" 2>&1 ||
      skip "npm could not install @redocly/cli ($folder/install.log)"
  fi
  echo "$PWD/$folder/node_modules/.bin/redocly"
}

redocly=$(find_redocly)
export REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true
report=$(mktemp)
trap 'rm -f "$report"' EXIT
"$redocly" lint --format=json "$document" >"$report" 2>"$report.log" || true
/usr/bin/python3 - "$report" <<'PY'
import json
import sys

text = open(sys.argv[1]).read()
report = json.loads(text[text.index("{"):])
for problem in report["problems"]:
    print(f"{problem['severity']} {problem['ruleId']}: {problem['message']} ({problem['location'][0]['pointer']})")
sys.exit(1 if report["problems"] else 0)
PY
rm -f "$report.log"
