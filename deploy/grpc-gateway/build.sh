#!/usr/bin/env bash
# build.sh GENERATED PROGRAM: compiles the proxy from what generate.sh wrote to GENERATED, with Debian's Go packages
# and without a network.
set -euo pipefail
generated=$(readlink -f "${1:?expected the folder of generate.sh}")
program=$(readlink -m "${2:?expected the program to write}")
here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
install -D -m 644 "$here/main.go" "$generated/src/penstock.dev/grpc-gateway/main.go"
export GO111MODULE=off GOFLAGS='' GOPATH="$generated:/usr/share/gocode" CGO_ENABLED=0
export GOCACHE="${GOCACHE:-${HOME:-$generated}/.cache/go-build}"
go build -o "$program" penstock.dev/grpc-gateway
