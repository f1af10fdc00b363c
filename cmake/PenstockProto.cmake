# Code generation from .proto files. Generated code stays in the build tree.

set(PENSTOCK_GOOGLEAPIS
  "/usr/share/gocode/src/github.com/grpc-ecosystem/grpc-gateway/third_party/googleapis")
set(PENSTOCK_GRPC_PROTO "/usr/share/grpc-proto")
set(PENSTOCK_GENERATED "${CMAKE_BINARY_DIR}/generated")
set(PENSTOCK_PROTO_PATH -I "${PROJECT_SOURCE_DIR}/proto" -I "${PENSTOCK_GOOGLEAPIS}"
  -I "${PENSTOCK_GRPC_PROTO}" -I /usr/include)
get_target_property(PENSTOCK_GRPC_PLUGIN gRPC::grpc_cpp_plugin LOCATION)

# penstock_add_proto_library(<name> ROOT dir PROTOS a/b.proto … [GRPC_PROTOS …] [DEPS …])
# PROTOS give messages; GRPC_PROTOS give messages and service stubs. Paths are relative to ROOT.
function(penstock_add_proto_library name)
  cmake_parse_arguments(ARG "" "ROOT" "PROTOS;GRPC_PROTOS;DEPS" ${ARGN})
  set(proto_path ${PENSTOCK_PROTO_PATH})
  if(NOT ARG_ROOT IN_LIST proto_path)
    list(APPEND proto_path -I "${ARG_ROOT}")
  endif()
  set(sources)
  foreach(proto IN LISTS ARG_PROTOS ARG_GRPC_PROTOS)
    string(REGEX REPLACE "\\.proto$" "" stem "${proto}")
    set(out "${PENSTOCK_GENERATED}/${stem}")
    add_custom_command(
      OUTPUT "${out}.pb.cc" "${out}.pb.h"
      COMMAND protobuf::protoc ${proto_path} "--cpp_out=${PENSTOCK_GENERATED}" "${proto}"
      DEPENDS "${ARG_ROOT}/${proto}"
      VERBATIM)
    list(APPEND sources "${out}.pb.cc")
  endforeach()
  foreach(proto IN LISTS ARG_GRPC_PROTOS)
    string(REGEX REPLACE "\\.proto$" "" stem "${proto}")
    set(out "${PENSTOCK_GENERATED}/${stem}")
    add_custom_command(
      OUTPUT "${out}.grpc.pb.cc" "${out}.grpc.pb.h"
      COMMAND protobuf::protoc ${proto_path} "--grpc_out=${PENSTOCK_GENERATED}"
        "--plugin=protoc-gen-grpc=${PENSTOCK_GRPC_PLUGIN}" "${proto}"
      DEPENDS "${ARG_ROOT}/${proto}"
      VERBATIM)
    list(APPEND sources "${out}.grpc.pb.cc")
  endforeach()
  set(target penstock_${name})
  add_library(${target} STATIC ${sources})
  add_library(penstock::${name} ALIAS ${target})
  target_include_directories(${target} SYSTEM PUBLIC "${PENSTOCK_GENERATED}")
  target_link_libraries(${target} PUBLIC protobuf::libprotobuf ${ARG_DEPS})
  if(ARG_GRPC_PROTOS)
    target_link_libraries(${target} PUBLIC gRPC::grpc++)
  endif()
  # No code refers to what a file of services generates, so the linker would leave it out of an archive, and
  # the service out of the descriptor pool that transcoding and server reflection look into.
  foreach(proto IN LISTS ARG_GRPC_PROTOS)
    string(REPLACE "_" "_5f" symbol "${proto}")
    string(REPLACE "/" "_2f" symbol "${symbol}")
    string(REPLACE "." "_2e" symbol "${symbol}")
    target_link_options(${target} INTERFACE "LINKER:--undefined=descriptor_table_${symbol}")
  endforeach()
endfunction()

# penstock_add_json_codecs(<name> ROOT dir PROTOS a/b.proto … DEPS penstock::proto_… …)
# A library of generated JSON code for the messages of PROTOS, which DEPS compile. Linking it is enough:
# libs/protojson uses the code for these messages from then on (libs/protojson/codec.h).
function(penstock_add_json_codecs name)
  cmake_parse_arguments(ARG "" "ROOT" "PROTOS;DEPS" ${ARGN})
  set(proto_path ${PENSTOCK_PROTO_PATH})
  if(NOT ARG_ROOT IN_LIST proto_path)
    list(APPEND proto_path -I "${ARG_ROOT}")
  endif()
  set(target penstock_${name})
  set(sources)
  set(link_options)
  foreach(proto IN LISTS ARG_PROTOS)
    string(REGEX REPLACE "\\.proto$" "" stem "${proto}")
    set(out "${PENSTOCK_GENERATED}/${stem}.json.cc")
    add_custom_command(
      OUTPUT "${out}"
      COMMAND protobuf::protoc ${proto_path} "--penstock_out=${PENSTOCK_GENERATED}"
        "--plugin=protoc-gen-penstock=$<TARGET_FILE:protoc-gen-penstock>" "${proto}"
      DEPENDS "${ARG_ROOT}/${proto}" protoc-gen-penstock
      VERBATIM)
    list(APPEND sources "${out}")
    # No code refers to a codec: it enters itself into a table.
    string(REPLACE "_" "_5f" symbol "${proto}")
    string(REPLACE "/" "_2f" symbol "${symbol}")
    string(REPLACE "." "_2e" symbol "${symbol}")
    list(APPEND link_options "LINKER:--undefined=penstock_json_codec_${symbol}")
  endforeach()
  add_library(${target} STATIC ${sources})
  add_library(penstock::${name} ALIAS ${target})
  target_link_libraries(${target} PUBLIC penstock::protojson ${ARG_DEPS})
  target_link_options(${target} INTERFACE ${link_options})
endfunction()
file(MAKE_DIRECTORY "${PENSTOCK_GENERATED}")
