#include "relay/admin/front_page.h"

namespace sluice::relay {
namespace {

// Scripts and styles from here only, none in the page itself, and no string that becomes HTML or
// code (trusted types): text of mail cannot act, whatever the scripts do with it.
constexpr const char kPolicy[] =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'";

std::string_view typeOf(std::string_view name) {
  if (name.ends_with(".html")) return "text/html; charset=utf-8";
  if (name.ends_with(".css")) return "text/css; charset=utf-8";
  if (name.ends_with(".js")) return "text/javascript; charset=utf-8";
  return "image/svg+xml";
}

}  // namespace

std::optional<net::HttpResponse> frontPage(std::string_view name) {
  const std::string_view wanted = name.empty() ? "index.html" : name;
  for (const PageFile& file : pageFiles()) {
    if (file.name != wanted) continue;
    net::HttpResponse response;
    response.content_type = typeOf(file.name);
    response.body = file.bytes;
    response.headers.emplace_back("Content-Security-Policy", kPolicy);
    return response;
  }
  return std::nullopt;
}

}  // namespace sluice::relay
