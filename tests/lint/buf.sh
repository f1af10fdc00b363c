#!/usr/bin/env bash
# `buf lint` over our protos. Uses a `buf` in PATH, else the one that npm can install under
# build/node; exits 77 where there is neither.
#
# buf resolves imports inside one module only, so one is laid out under build/buf: our protos, and
# beside them the google/api ones that Debian's package brings.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../.."
googleapis=/usr/share/gocode/src/github.com/grpc-ecosystem/grpc-gateway/third_party/googleapis

skip() {
  echo "skipped: $*"
  exit 77
}

find_buf() {
  local installed=build/node/node_modules/.bin/buf
  if command -v buf; then return 0; fi
  if [[ ! -x $installed ]]; then
    command -v npm >/dev/null || skip "found neither buf nor npm" >&2
    mkdir -p build/node
    timeout 120 npm install --silent --no-audit --no-fund --prefix build/node @bufbuild/buf@1 \
      >build/node/install.log 2>&1 || skip "npm could not install @bufbuild/buf (build/node/install.log)" >&2
  fi
  echo "$PWD/$installed"
}

[[ -f proto/buf.yaml ]] || skip "proto/buf.yaml does not exist"
[[ -d $googleapis ]] || skip "the google/api protos are not installed"
buf=$(find_buf)

rm -rf build/buf
mkdir -p build/buf
cp -r proto/. build/buf/
# A file that we write ourselves takes the place of the packaged one.
(cd "$googleapis" && find google -name '*.proto') | while read -r file; do
  [[ -f proto/$file ]] || install -D -m 644 "$googleapis/$file" "build/buf/$file"
done
cd build/buf
"$buf" lint
