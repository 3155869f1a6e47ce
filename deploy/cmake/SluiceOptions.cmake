# How everything of Sluice is compiled: warnings, hardening, sanitizers, ccache.
option(SLUICE_WERROR "Treat warnings as errors" ON)
set(SLUICE_SANITIZE "" CACHE STRING "Sanitizers for -fsanitize=, e.g. address,undefined or thread")

find_program(SLUICE_CCACHE ccache)
if(SLUICE_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env
    CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime ${SLUICE_CCACHE})
endif()

add_library(sluice_options INTERFACE)
target_include_directories(sluice_options INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_features(sluice_options INTERFACE cxx_std_20)
target_compile_options(sluice_options INTERFACE
  -Wall -Wextra -Wshadow=local -Wnon-virtual-dtor -Wold-style-cast -Woverloaded-virtual
  -Wimplicit-fallthrough -Wno-missing-field-initializers)
if(SLUICE_WERROR)
  target_compile_options(sluice_options INTERFACE -Werror)
endif()

# Hardening: what hardening-check looks for.
target_compile_options(sluice_options INTERFACE
  -fstack-protector-strong -fstack-clash-protection -fcf-protection)
target_link_options(sluice_options INTERFACE -Wl,-z,relro,-z,now -Wl,--as-needed)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
include(CheckPIESupported)
check_pie_supported()

if(SLUICE_SANITIZE)
  target_compile_options(sluice_options INTERFACE
    # The sanitizers' own code makes GCC 12 see uninitialised reads where there are none.
    -Wno-maybe-uninitialized -fsanitize=${SLUICE_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all -g1)
  target_link_options(sluice_options INTERFACE -fsanitize=${SLUICE_SANITIZE})
  if(SLUICE_SANITIZE MATCHES "thread")
    # GCC warns that it cannot model fences; ours are none.
    target_compile_options(sluice_options INTERFACE -Wno-tsan)
  endif()
else()
  target_compile_options(sluice_options INTERFACE $<$<CONFIG:Release>:-D_FORTIFY_SOURCE=2>)
endif()
set(CMAKE_CXX_FLAGS_DEBUG "-O1 -g1")
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -g1 -DNDEBUG")
