# Writes OUTPUT, a C++ source that defines sluice::relay::pageFiles(): the files of FOLDER, byte for byte.
#   cmake -D FOLDER=relay/admin/page -D OUTPUT=page_files.cc -P EmbedFiles.cmake
# Raw string literals in pieces: compilers bound the length of one.
file(GLOB files LIST_DIRECTORIES false ${FOLDER}/*)
list(SORT files)
set(text "// Made by deploy/cmake/EmbedFiles.cmake.\n#include <array>\n\n#include \"relay/admin/front_page.h\"\n\nnamespace sluice::relay {\n\nstd::span<const PageFile> pageFiles() {\n  static constexpr std::array kFiles{\n")
foreach(file ${files})
  get_filename_component(name ${file} NAME)
  file(READ ${file} hex HEX)
  string(LENGTH "${hex}" length)
  math(EXPR bytes "${length} / 2")
  string(REGEX REPLACE "(................................................................)" "\\1\n" hex "${hex}")
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "\\\\x\\1" hex "${hex}")
  string(REPLACE "\n" "\"\n               \"" hex "${hex}")
  string(APPEND text "      PageFile{\"${name}\", {\"${hex}\", ${bytes}}},\n")
endforeach()
string(APPEND text "  };\n  return kFiles;\n}\n\n}  // namespace sluice::relay\n")
file(WRITE ${OUTPUT} "${text}")
