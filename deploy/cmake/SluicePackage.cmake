# Installing and packaging: man pages made by the program itself, and the Debian package.
#
#   cmake --install build/release                       the program and its man pages
#   cmake --build build/release --target deb            build/release/sluice_VERSION_ARCH.deb
include(GNUInstallDirs)
find_program(SLUICE_GZIP gzip REQUIRED)

# The pages are what --help says, in roff; which there are, the program knows.
set(manual ${CMAKE_BINARY_DIR}/man1)
add_custom_command(OUTPUT ${manual}/stamp
  COMMAND ${CMAKE_COMMAND} -E rm -rf ${manual}
  COMMAND ${CMAKE_COMMAND} -E make_directory ${manual}
  COMMAND $<TARGET_FILE:sluice> manual --directory ${manual}
  COMMAND sh -c "${SLUICE_GZIP} -9n ${manual}/*.1"
  COMMAND ${CMAKE_COMMAND} -E touch ${manual}/stamp
  DEPENDS sluice VERBATIM COMMENT "Writing man pages")
add_custom_target(man ALL DEPENDS ${manual}/stamp)

install(TARGETS sluice RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY ${manual}/ DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 OPTIONAL
  FILES_MATCHING PATTERN "*.1.gz")

# What only a package brings: the unit with its path, configuration, user, documentation.
function(sluice_debian)
  install(${ARGN} COMPONENT debian EXCLUDE_FROM_ALL)
endfunction()

set(debian ${CMAKE_BINARY_DIR}/debian)
foreach(unit sluice.service sluice.socket)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/deploy/${unit})
  file(READ ${CMAKE_SOURCE_DIR}/deploy/${unit} text)
  string(REPLACE /usr/local/bin/ /usr/bin/ text "${text}")
  file(WRITE ${debian}/${unit} "${text}")
  sluice_debian(FILES ${debian}/${unit} DESTINATION /lib/systemd/system)
endforeach()
sluice_debian(FILES deploy/sluice.example.toml DESTINATION /etc/sluice RENAME sluice.toml)
sluice_debian(FILES deploy/debian/sluice.sysusers DESTINATION /usr/lib/sysusers.d RENAME sluice.conf)
sluice_debian(FILES LICENSE DESTINATION /usr/share/doc/sluice RENAME copyright)
sluice_debian(FILES README.md CHANGELOG.md DESTINATION /usr/share/doc/sluice)
sluice_debian(DIRECTORY docs DESTINATION /usr/share/doc/sluice)
sluice_debian(FILES deploy/prometheus/alerts.yml DESTINATION /usr/share/doc/sluice/deploy/prometheus)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME sluice)
set(CPACK_PACKAGE_VENDOR Sluice)
set(CPACK_PACKAGE_CONTACT "The Sluice developers <sluice@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "high-throughput outbound mail relay")
set(CPACK_PACKAGE_DESCRIPTION "Applications hand Sluice mail over SMTP; it makes each message durable, answers 250,
and delivers it to the world through connection pools of each destination,
retrying for days if it must, and telling the sender when it cannot.")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_CMAKE_PROJECTS
  "${CMAKE_BINARY_DIR};sluice;Unspecified;/" "${CMAKE_BINARY_DIR};sluice;debian;/")
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION mail)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS "ca-certificates, systemd | systemd-standalone-sysusers")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA
  ${CMAKE_SOURCE_DIR}/deploy/debian/conffiles ${CMAKE_SOURCE_DIR}/deploy/debian/postinst
  ${CMAKE_SOURCE_DIR}/deploy/debian/prerm ${CMAKE_SOURCE_DIR}/deploy/debian/postrm)
include(CPack)

# `package` would build the tests, too.
add_custom_target(deb
  COMMAND ${CMAKE_CPACK_COMMAND} -G DEB --config ${CMAKE_BINARY_DIR}/CPackConfig.cmake -B ${CMAKE_BINARY_DIR}
  DEPENDS sluice man VERBATIM USES_TERMINAL)
