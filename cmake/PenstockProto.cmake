# Code generation from .proto files. Generated code stays in the build tree.

set(PENSTOCK_GOOGLEAPIS
  "/usr/share/gocode/src/github.com/grpc-ecosystem/grpc-gateway/third_party/googleapis")
set(PENSTOCK_GRPC_PROTO "/usr/share/grpc-proto")
set(PENSTOCK_GENERATED "${CMAKE_BINARY_DIR}/generated")
set(PENSTOCK_PROTO_PATH -I "${PROJECT_SOURCE_DIR}/proto" -I "${PENSTOCK_GOOGLEAPIS}"
  -I "${PENSTOCK_GRPC_PROTO}" -I /usr/include)
get_target_property(PENSTOCK_GRPC_PLUGIN gRPC::grpc_cpp_plugin LOCATION)

# Sets `path` to protoc's options for files below `root`.
function(penstock_proto_path path root)
  set(options ${PENSTOCK_PROTO_PATH})
  if(NOT root IN_LIST options)
    list(APPEND options -I "${root}")
  endif()
  set(${path} ${options} PARENT_SCOPE)
endfunction()

# Sets `symbol` to the name that generated code has for a .proto file, as protoc mangles it.
function(penstock_proto_symbol symbol proto)
  string(REPLACE "_" "_5f" mangled "${proto}")
  string(REPLACE "/" "_2f" mangled "${mangled}")
  string(REPLACE "." "_2e" mangled "${mangled}")
  set(${symbol} "${mangled}" PARENT_SCOPE)
endfunction()

# penstock_generate(<result> ROOT dir PROTO a/b.proto OUT flag ENDINGS .x.cc [.x.h] [PLUGIN name=path] [DEPENDS …])
# Runs protoc with --OUT and a folder over one file, and adds what it writes as the first of ENDINGS to the list `result`.
function(penstock_generate result)
  cmake_parse_arguments(ARG "" "ROOT;PROTO;OUT;PLUGIN" "ENDINGS;DEPENDS" ${ARGN})
  penstock_proto_path(proto_path "${ARG_ROOT}")
  string(REGEX REPLACE "\\.proto$" "" stem "${ARG_PROTO}")
  set(outputs ${ARG_ENDINGS})
  list(TRANSFORM outputs PREPEND "${PENSTOCK_GENERATED}/${stem}")
  set(plugin)
  if(ARG_PLUGIN)
    set(plugin "--plugin=${ARG_PLUGIN}")
  endif()
  add_custom_command(
    OUTPUT ${outputs}
    COMMAND protobuf::protoc ${proto_path} "--${ARG_OUT}${PENSTOCK_GENERATED}" ${plugin} "${ARG_PROTO}"
    DEPENDS "${ARG_ROOT}/${ARG_PROTO}" ${ARG_DEPENDS}
    VERBATIM)
  list(GET outputs 0 first)
  set(${result} ${${result}} "${first}" PARENT_SCOPE)
endfunction()

# penstock_add_proto_library(<name> ROOT dir PROTOS a/b.proto … [GRPC_PROTOS …] [DEPS …])
# PROTOS give messages; GRPC_PROTOS give messages and service stubs. Paths are relative to ROOT.
# The target remembers them for penstock_add_json_codecs.
function(penstock_add_proto_library name)
  cmake_parse_arguments(ARG "" "ROOT" "PROTOS;GRPC_PROTOS;DEPS" ${ARGN})
  set(sources)
  foreach(proto IN LISTS ARG_PROTOS ARG_GRPC_PROTOS)
    penstock_generate(sources ROOT "${ARG_ROOT}" PROTO "${proto}" OUT cpp_out= ENDINGS .pb.cc .pb.h)
  endforeach()
  foreach(proto IN LISTS ARG_GRPC_PROTOS)
    penstock_generate(sources ROOT "${ARG_ROOT}" PROTO "${proto}" OUT grpc_out= ENDINGS .grpc.pb.cc .grpc.pb.h
      PLUGIN "protoc-gen-grpc=${PENSTOCK_GRPC_PLUGIN}")
  endforeach()
  set(target penstock_${name})
  add_library(${target} STATIC ${sources})
  add_library(penstock::${name} ALIAS ${target})
  set_target_properties(${target} PROPERTIES PENSTOCK_PROTO_ROOT "${ARG_ROOT}"
    PENSTOCK_MESSAGE_PROTOS "${ARG_PROTOS}" PENSTOCK_SERVICE_PROTOS "${ARG_GRPC_PROTOS}")
  target_include_directories(${target} SYSTEM PUBLIC "${PENSTOCK_GENERATED}")
  target_link_libraries(${target} PUBLIC protobuf::libprotobuf ${ARG_DEPS})
  if(ARG_GRPC_PROTOS)
    target_link_libraries(${target} PUBLIC gRPC::grpc++)
  endif()
  # No code refers to what a file of services generates, so the linker would leave it out of an archive, and
  # the service out of the descriptor pool that transcoding and server reflection look into.
  foreach(proto IN LISTS ARG_GRPC_PROTOS)
    penstock_proto_symbol(symbol "${proto}")
    target_link_options(${target} INTERFACE "LINKER:--undefined=descriptor_table_${symbol}")
  endforeach()
endfunction()

# penstock_add_generated(<name> PROPERTY p FOR penstock::proto_… … OUT flag ENDING .x.cc SYMBOL prefix DEPS …)
# A library of what protoc-gen-penstock writes for the files that the property `p` of those libraries names. No code
# refers to such a file, which enters itself into a table: the linker is told to take it.
function(penstock_add_generated name)
  cmake_parse_arguments(ARG "" "PROPERTY;OUT;ENDING;SYMBOL" "FOR;DEPS" ${ARGN})
  set(target penstock_${name})
  set(sources)
  set(link_options)
  foreach(library IN LISTS ARG_FOR)
    get_target_property(root ${library} PENSTOCK_PROTO_ROOT)
    get_target_property(protos ${library} ${ARG_PROPERTY})
    foreach(proto IN LISTS protos)
      penstock_generate(sources ROOT "${root}" PROTO "${proto}" OUT ${ARG_OUT} ENDINGS ${ARG_ENDING}
        PLUGIN "protoc-gen-penstock=$<TARGET_FILE:protoc-gen-penstock>" DEPENDS protoc-gen-penstock)
      penstock_proto_symbol(symbol "${proto}")
      list(APPEND link_options "LINKER:--undefined=${ARG_SYMBOL}_${symbol}")
    endforeach()
  endforeach()
  add_library(${target} STATIC ${sources})
  add_library(penstock::${name} ALIAS ${target})
  target_link_libraries(${target} PUBLIC ${ARG_DEPS} ${ARG_FOR})
  target_link_options(${target} INTERFACE ${link_options})
endfunction()

# penstock_add_json_codecs(<name> FOR penstock::proto_… …)
# A library of generated JSON code for the messages of the PROTOS of those libraries. Linking it is enough:
# libs/protojson uses the code for these messages from then on (libs/protojson/codec.h).
function(penstock_add_json_codecs name)
  penstock_add_generated(${name} ${ARGN} PROPERTY PENSTOCK_MESSAGE_PROTOS OUT penstock_out= ENDING .json.cc
    SYMBOL penstock_json_codec DEPS penstock::protojson)
endfunction()

# penstock_add_routes(<name> FOR penstock::proto_… …)
# A library of generated routes for the services of the GRPC_PROTOS of those libraries (libs/transcode/route_code.h).
# Rules that are wrong, or that take the same paths as others of their file, break the build.
function(penstock_add_routes name)
  penstock_add_generated(${name} ${ARGN} PROPERTY PENSTOCK_SERVICE_PROTOS OUT penstock_out=routes: ENDING .routes.cc
    SYMBOL penstock_routes DEPS penstock::transcode)
endfunction()

# penstock_add_openapi(<file> BASE base.json FOR penstock::proto_… …)
# Writes the API description of the services of the GRPC_PROTOS of those libraries, added to what `base.json` has by
# hand, and sets `file` to its path.
function(penstock_add_openapi file)
  cmake_parse_arguments(ARG "" "BASE" "FOR" ${ARGN})
  set(protos)
  set(sources)
  foreach(library IN LISTS ARG_FOR)
    get_target_property(root ${library} PENSTOCK_PROTO_ROOT)
    get_target_property(services ${library} PENSTOCK_SERVICE_PROTOS)
    get_target_property(messages ${library} PENSTOCK_MESSAGE_PROTOS)
    list(APPEND protos ${services})
    foreach(proto IN LISTS services messages)
      list(APPEND sources "${root}/${proto}")
    endforeach()
  endforeach()
  set(out "${PENSTOCK_GENERATED}/openapi.json")
  add_custom_command(
    OUTPUT "${out}"
    COMMAND protobuf::protoc ${PENSTOCK_PROTO_PATH}
      "--penstock_out=openapi,base=${ARG_BASE},version=${PROJECT_VERSION}:${PENSTOCK_GENERATED}"
      "--plugin=protoc-gen-penstock=$<TARGET_FILE:protoc-gen-penstock>" ${protos}
    DEPENDS "${ARG_BASE}" ${sources} protoc-gen-penstock
    VERBATIM)
  set(${file} "${out}" PARENT_SCOPE)
endfunction()
