# Compiler, linker and sanitizer settings for everything in this repository.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE RelWithDebInfo)
endif()
# -g1 keeps line numbers for stack traces; full debug information would double the build's disk use.
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O2 -g1")
set(CMAKE_CXX_FLAGS_DEBUG "-O0 -g1")

set(PENSTOCK_SANITIZE "" CACHE STRING "Sanitizers to build with, as given to -fsanitize=")
option(PENSTOCK_BUILD_TESTS "Build the tests and benchmarks" ON)
option(PENSTOCK_FUZZ "Build the fuzzers, with clang" OFF)

find_program(PENSTOCK_CCACHE ccache)
if(PENSTOCK_CCACHE)
  set(CMAKE_C_COMPILER_LAUNCHER "${PENSTOCK_CCACHE}")
  set(CMAKE_CXX_COMPILER_LAUNCHER "${PENSTOCK_CCACHE}")
endif()
find_program(PENSTOCK_MOLD mold)
if(PENSTOCK_MOLD)
  # Without a read-only segment after relocation: Debian's mold 1.10 lays it out wrongly, so that the
  # program does not start, where thread-local variables happen to end at a page. For tests and
  # benchmarks alone: programs keep the protection, and the linker that goes with it.
  set(PENSTOCK_FAST_LINK -fuse-ld=mold -Wl,-z,norelro)
endif()

# Warnings are errors on our own code; packages' headers come in as SYSTEM.
add_library(penstock_options INTERFACE)
add_library(penstock::options ALIAS penstock_options)
target_compile_options(penstock_options INTERFACE
  -Wall -Wextra -Wpedantic -Wnon-virtual-dtor -Woverloaded-virtual -Wshadow=local
  -Werror -Wno-missing-field-initializers)
# The callback guard aborts on blocking work in a reaction. It is compiled into debug, sanitizer and
# test builds, and left out of packaged releases (-DPENSTOCK_CALLBACK_GUARD=OFF).
option(PENSTOCK_CALLBACK_GUARD "Abort when a gRPC reaction blocks" ON)
if(PENSTOCK_CALLBACK_GUARD)
  target_compile_definitions(penstock_options INTERFACE PENSTOCK_CALLBACK_GUARD=1)
endif()

if(PENSTOCK_SANITIZE)
  add_compile_options(-fsanitize=${PENSTOCK_SANITIZE} -fno-omit-frame-pointer
    -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${PENSTOCK_SANITIZE})
  add_compile_definitions(PENSTOCK_SANITIZED=1)
endif()
if(PENSTOCK_FUZZ)
  # Optimized little, to compile fast. The warnings that count as errors are those of g++.
  add_compile_options(-O1 -fsanitize=fuzzer-no-link -Wno-error -w)
endif()
