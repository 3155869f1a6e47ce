// The dashboard's files: / and /page/…, as they were when this was built.
//
// Static and open, so they show nothing of the mail. Pure.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "net/http/http_server.h"

namespace sluice::relay {

// The files of relay/admin/page, made part of the binary by deploy/cmake/EmbedFiles.cmake.
struct PageFile {
  std::string_view name;  // "style.css"
  std::string_view bytes;
};
std::span<const PageFile> pageFiles();

// The page (no name) or a file of it; nothing if there is none of this name.
std::optional<net::HttpResponse> frontPage(std::string_view name);

}  // namespace sluice::relay
