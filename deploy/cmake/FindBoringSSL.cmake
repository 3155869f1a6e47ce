# Finds BoringSSL and defines BoringSSL::crypto and BoringSSL::ssl.
#
# Looks below BORINGSSL_ROOT first (a source build's prefix, with include/openssl and lib/), then in
# the place of Debian's android-libboringssl-dev. What it finds must say OPENSSL_IS_BORINGSSL: the
# symbols of OpenSSL have the same names, and the two must not meet in one process.
find_path(BoringSSL_INCLUDE_DIR openssl/base.h
  HINTS ${BORINGSSL_ROOT}/include PATHS /usr/include/android NO_DEFAULT_PATH)
find_library(BoringSSL_CRYPTO_LIBRARY crypto
  HINTS ${BORINGSSL_ROOT}/lib ${BORINGSSL_ROOT}/lib64 ${BORINGSSL_ROOT}/build/crypto
  PATHS /usr/lib/${CMAKE_LIBRARY_ARCHITECTURE}/android /usr/lib/android NO_DEFAULT_PATH)
find_library(BoringSSL_SSL_LIBRARY ssl
  HINTS ${BORINGSSL_ROOT}/lib ${BORINGSSL_ROOT}/lib64 ${BORINGSSL_ROOT}/build/ssl
  PATHS /usr/lib/${CMAKE_LIBRARY_ARCHITECTURE}/android /usr/lib/android NO_DEFAULT_PATH)

if(BoringSSL_INCLUDE_DIR)
  file(STRINGS ${BoringSSL_INCLUDE_DIR}/openssl/base.h BoringSSL_MARK REGEX "define OPENSSL_IS_BORINGSSL")
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(BoringSSL REQUIRED_VARS
  BoringSSL_CRYPTO_LIBRARY BoringSSL_SSL_LIBRARY BoringSSL_INCLUDE_DIR BoringSSL_MARK
  FAIL_MESSAGE "BoringSSL not found: install android-libboringssl-dev or set BORINGSSL_ROOT")

if(BoringSSL_FOUND AND NOT TARGET BoringSSL::crypto)
  foreach(part crypto ssl)
    string(TOUPPER ${part} upper)
    add_library(BoringSSL::${part} UNKNOWN IMPORTED)
    set_target_properties(BoringSSL::${part} PROPERTIES
      IMPORTED_LOCATION ${BoringSSL_${upper}_LIBRARY}
      INTERFACE_INCLUDE_DIRECTORIES ${BoringSSL_INCLUDE_DIR})
  endforeach()
  set_property(TARGET BoringSSL::ssl APPEND PROPERTY INTERFACE_LINK_LIBRARIES BoringSSL::crypto)
endif()
mark_as_advanced(BoringSSL_INCLUDE_DIR BoringSSL_CRYPTO_LIBRARY BoringSSL_SSL_LIBRARY)
