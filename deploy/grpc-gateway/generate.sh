#!/usr/bin/env bash
# generate.sh OUT: runs grpc-gateway's plugins over the public contracts. Into OUT/src go the Go reverse proxies (with
# the messages that they use, where protoc-gen-go is there), into OUT/swagger their OpenAPI source (Swagger 2.0).
set -euo pipefail
out=$(mkdir -p "${1:?expected a folder}" && readlink -f "$1")
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../../proto"
googleapis=/usr/share/gocode/src/github.com/grpc-ecosystem/grpc-gateway/third_party/googleapis
rm -rf "$out/src" "$out/swagger"
mkdir -p "$out/src" "$out/swagger"

# Debian's protoc names Go packages of a newer protobuf library than Debian's Go packages are.
packages=""
for type in any duration empty struct timestamp wrappers; do
  packages+=",Mgoogle/protobuf/$type.proto=github.com/golang/protobuf/ptypes/$type"
done
packages+=",Mgoogle/protobuf/field_mask.proto=google.golang.org/genproto/protobuf/field_mask"

if command -v protoc-gen-go >/dev/null; then
  for folder in io/cloudevents/v1 penstock/executions/v1 penstock/functions/v1 penstock/events/v1 \
    penstock/events/v1alpha1; do
    protoc -I . -I "$googleapis" "--go_out=plugins=grpc$packages:$out/src" "$folder"/*.proto
  done
fi
# One run a Go package, as the plugins want it.
for services in penstock/executions/v1/executor_service.proto penstock/functions/v1/manager_service.proto \
  "penstock/events/v1/broker_service.proto penstock/events/v1/catalog_service.proto" \
  penstock/events/v1alpha1/catalog_service.proto; do
  # Without allow_patch_feature: this version writes masks in Go's names of fields, which no service knows. The services
  # then change the fields that are set, unless the request has a mask.
  read -ra files <<<"$services"
  protoc -I . -I "$googleapis" \
    "--grpc-gateway_out=logtostderr=true,allow_repeated_fields_in_body=true,allow_patch_feature=false$packages:$out/src" \
    "--swagger_out=logtostderr=true:$out/swagger" "${files[@]}"
done
