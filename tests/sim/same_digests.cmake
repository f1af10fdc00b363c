# Runs 200 seeds in two processes: everything that happens must be the same in both.
foreach(run IN ITEMS first second)
  execute_process(COMMAND "${PROGRAM}" --seeds 1..200 --digests OUTPUT_VARIABLE ${run}
    RESULT_VARIABLE failed)
  if(failed)
    message(FATAL_ERROR "a seed failed:\n${${run}}")
  endif()
endforeach()
if(NOT first STREQUAL second)
  message(FATAL_ERROR "the digests of two runs differ:\n${first}\n${second}")
endif()
message(STATUS "200 seeds, twice: ${first}")
