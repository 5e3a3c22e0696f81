# One target per folder. Compiler settings stand here, once.

option(SLUICE_ASAN "AddressSanitizer and UndefinedBehaviorSanitizer" OFF)
option(SLUICE_TSAN "ThreadSanitizer" OFF)
option(SLUICE_FUZZ "libFuzzer's instrumentation and programs; needs clang, and SLUICE_ASAN" OFF)

add_library(sluice_settings INTERFACE)
target_include_directories(sluice_settings INTERFACE ${PROJECT_SOURCE_DIR})
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)  # warnings are GCC's business
  target_compile_options(sluice_settings INTERFACE
    -Wall -Wextra -Wpedantic -Werror -Wshadow -Wconversion -Wnon-virtual-dtor -Wold-style-cast
    -Woverloaded-virtual -Wundef
    -Wno-missing-field-initializers)
endif()
if(CMAKE_UNITY_BUILD AND CMAKE_CXX_COMPILER_ID STREQUAL GNU)
  # Of several files as one GCC takes all but the first for headers, and inlines enough to
  # cry wolf at std::variant (GCC 12).
  target_compile_options(sluice_settings INTERFACE
    -Wno-subobject-linkage -Wno-maybe-uninitialized)
endif()
if(SLUICE_ASAN)
  # vptr needs descriptors of its own to look at memory, and cries wolf in the test that
  # runs out of them.
  target_compile_options(sluice_settings INTERFACE
    -fsanitize=address,undefined -fno-sanitize=vptr -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(sluice_settings INTERFACE -fsanitize=address,undefined)
  target_compile_definitions(sluice_settings INTERFACE SLUICE_SANITIZED)
endif()
if(SLUICE_TSAN)
  # GCC 12 warns that atomic_thread_fence is not seen by TSan, in Boost's headers. Clang's TSan
  # is no choice: it does not see descriptors that libraries close.
  target_compile_options(sluice_settings INTERFACE -fsanitize=thread -Wno-tsan)
  target_link_options(sluice_settings INTERFACE -fsanitize=thread)
  target_compile_definitions(sluice_settings INTERFACE SLUICE_SANITIZED SLUICE_SANITIZED_THREADS)
endif()
if(SLUICE_FUZZ)
  target_compile_options(sluice_settings INTERFACE -fsanitize=fuzzer-no-link)
endif()

# sluice_library(<name> [LINK <target>...]): the .cpp files of this folder.
function(sluice_library name)
  cmake_parse_arguments(ARG "" "" "LINK" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp)
  add_library(${name} STATIC ${sources})
  target_link_libraries(${name} PUBLIC sluice_settings ${ARG_LINK})
endfunction()

# sluice_test(<name> [WHOLE] [LINK <target>...]): the *_test.cpp files of this folder, which are
# compiled for speed of compiling. WHOLE: one process for all of its tests, where they are so
# short that starting one for each takes longer than they do.
function(sluice_test name)
  cmake_parse_arguments(ARG "WHOLE" "" "LINK" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*_test.cpp)
  add_executable(${name} ${sources})
  target_compile_options(${name} PRIVATE -O0 -g1)
  target_link_libraries(${name} PRIVATE sluice_settings sluice_test_support ${ARG_LINK} GTest::gmock_main)
  if(ARG_WHOLE)
    add_test(NAME ${name} COMMAND ${name} --gtest_brief=1)
    set_tests_properties(${name} PROPERTIES TIMEOUT 900 COST 100)  # the longest first
  else()
    gtest_discover_tests(${name} DISCOVERY_TIMEOUT 60 PROPERTIES TIMEOUT 900)
  endif()
endfunction()
