# The few functions with which every folder declares what it builds.

# penstock_add_library(<area>_<part> SRCS … [DEPS …] [PRIVATE_DEPS …])
# Declares target penstock_<name> with alias penstock::<name>. DEPS are PUBLIC: only what a header needs.
function(penstock_add_library name)
  cmake_parse_arguments(ARG "" "" "SRCS;DEPS;PRIVATE_DEPS" ${ARGN})
  set(target penstock_${name})
  if(ARG_SRCS)
    add_library(${target} STATIC ${ARG_SRCS})
    target_include_directories(${target} PUBLIC "${PROJECT_SOURCE_DIR}")
    target_link_libraries(${target} PUBLIC ${ARG_DEPS} PRIVATE ${ARG_PRIVATE_DEPS} penstock::options)
  else()
    add_library(${target} INTERFACE)
    target_include_directories(${target} INTERFACE "${PROJECT_SOURCE_DIR}")
    target_link_libraries(${target} INTERFACE ${ARG_DEPS})
  endif()
  add_library(penstock::${name} ALIAS ${target})
endfunction()

# penstock_embed(<source> FILE file SYMBOL name)
# Sets `source` to a generated .cc that defines `extern const std::string_view penstock::embedded::<name>`: the bytes
# of a text file, without a file to be found at run time.
function(penstock_embed source)
  cmake_parse_arguments(ARG "" "FILE;SYMBOL" "" ${ARGN})
  set(out "${CMAKE_CURRENT_BINARY_DIR}/embedded/${ARG_SYMBOL}.cc")
  set(script "${PROJECT_SOURCE_DIR}/cmake/Embed.cmake")
  add_custom_command(
    OUTPUT "${out}"
    COMMAND "${CMAKE_COMMAND}" -D "FILE=${ARG_FILE}" -D "SYMBOL=${ARG_SYMBOL}" -D "OUT=${out}" -P "${script}"
    DEPENDS "${ARG_FILE}" "${script}"
    VERBATIM)
  set(${source} "${out}" PARENT_SCOPE)
endfunction()

# penstock_add_executable(<name> SRCS … DEPS …)
function(penstock_add_executable name)
  cmake_parse_arguments(ARG "" "" "SRCS;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SRCS})
  target_include_directories(${name} PRIVATE "${PROJECT_SOURCE_DIR}")
  target_link_libraries(${name} PRIVATE ${ARG_DEPS} penstock::options)
  add_dependencies(penstock_programs ${name})
endfunction()

# Gives a registered test its label, its timeout (longer under a sanitizer) and its place in the run:
# e2e and fault tests measure and kill real processes, so nothing may run beside them.
function(penstock_register_test name label timeout)
  if(PENSTOCK_SANITIZE)
    math(EXPR timeout "${timeout} * 5")
  endif()
  set_tests_properties(${name} PROPERTIES LABELS "${label}" TIMEOUT ${timeout})
  if(PENSTOCK_SANITIZE)
    set_property(TEST ${name} APPEND PROPERTY
      ENVIRONMENT "LSAN_OPTIONS=suppressions=${PROJECT_SOURCE_DIR}/tests/leaks.txt:print_suppressions=0")
  endif()
  if(label MATCHES "e2e|fault")
    set_tests_properties(${name} PROPERTIES RUN_SERIAL TRUE)
  endif()
endfunction()

# penstock_add_test(<name> SRCS … DEPS … [LABEL unit|contract|integration|e2e|fault|sim] [TIMEOUT s]
#   [ARGS …] [TSAN] [OPTIMIZED])
# One executable a folder, registered with ctest under its name. TSAN says that it links no gRPC, and
# so can run under ThreadSanitizer: it gets the label `tsan-safe` too. Test code is not optimized, which
# saves a third of its compile time, unless OPTIMIZED says that it does the heavy work itself.
function(penstock_add_test name)
  cmake_parse_arguments(ARG "TSAN;OPTIMIZED" "LABEL;TIMEOUT" "SRCS;DEPS;ARGS" ${ARGN})
  if(NOT ARG_LABEL)
    set(ARG_LABEL unit)
  endif()
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  add_executable(${name} ${ARG_SRCS})
  target_include_directories(${name} PRIVATE "${PROJECT_SOURCE_DIR}")
  target_link_libraries(${name} PRIVATE ${ARG_DEPS} penstock::options GTest::gtest GTest::gmock
    GTest::gtest_main)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/tests")
  target_link_options(${name} PRIVATE ${PENSTOCK_FAST_LINK})
  if(NOT ARG_OPTIMIZED)
    target_compile_options(${name} PRIVATE -O0)
  endif()
  add_test(NAME ${name} COMMAND ${name} ${ARG_ARGS})
  if(ARG_TSAN)
    list(APPEND ARG_LABEL tsan-safe)
    add_dependencies(penstock_tsan_tests ${name})
  endif()
  penstock_register_test(${name} "${ARG_LABEL}" ${ARG_TIMEOUT})
endfunction()

# penstock_add_script_test(<name> SCRIPT file [LABEL …] [TIMEOUT s] [ARGS …])
# A Python or bash script of this folder as a test. It finds the programs in $PENSTOCK_BIN and this
# repository in $PENSTOCK_SOURCE, exits 77 when it cannot run here, and may end its output with
# `N passed, N failed` to count as more than one check.
function(penstock_add_script_test name)
  cmake_parse_arguments(ARG "" "SCRIPT;LABEL;TIMEOUT" "ARGS" ${ARGN})
  if(NOT ARG_LABEL)
    set(ARG_LABEL e2e)
  endif()
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  # Debian's interpreter by its path: another `python3` in PATH has no grpcio.
  set(interpreter /usr/bin/python3)
  if(ARG_SCRIPT MATCHES "\\.sh$")
    set(interpreter /bin/bash)
  endif()
  add_test(NAME ${name} COMMAND ${interpreter} "${CMAKE_CURRENT_SOURCE_DIR}/${ARG_SCRIPT}" ${ARG_ARGS})
  set_tests_properties(${name} PROPERTIES SKIP_RETURN_CODE 77
    ENVIRONMENT "PENSTOCK_BIN=${CMAKE_BINARY_DIR}/bin;PENSTOCK_SOURCE=${PROJECT_SOURCE_DIR}")
  penstock_register_test(${name} "${ARG_LABEL}" ${ARG_TIMEOUT})
endfunction()

# penstock_add_bench(<name> SRCS … DEPS …): a Google Benchmark executable in build/<preset>/bench.
function(penstock_add_bench name)
  cmake_parse_arguments(ARG "" "" "SRCS;DEPS" ${ARGN})
  add_executable(${name} EXCLUDE_FROM_ALL ${ARG_SRCS})
  target_include_directories(${name} PRIVATE "${PROJECT_SOURCE_DIR}")
  target_link_libraries(${name} PRIVATE ${ARG_DEPS} penstock::options benchmark::benchmark
    benchmark::benchmark_main)
  target_link_options(${name} PRIVATE ${PENSTOCK_FAST_LINK})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bench")
  add_dependencies(penstock_benches ${name})
endfunction()

# What `./dev test --tsan` and `./dev bench` build.
add_custom_target(penstock_programs)
add_custom_target(penstock_tsan_tests)
add_custom_target(penstock_benches)
