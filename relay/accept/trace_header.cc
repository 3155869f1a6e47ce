// How our Received field is written.
#include "relay/accept/trace_header.h"

#include <algorithm>

namespace sluice::relay {
namespace {

constexpr size_t kMaxNameBytes = 255;  // a domain's length

bool isNameByte(char c) {
  const char lower = static_cast<char>(c | 0x20);
  return (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') ||
         std::string_view(".-_:[]").find(c) != std::string_view::npos;
}

void appendProtocol(std::string& out, const TraceInfo& info) {
  out.append(info.smtputf8 ? "UTF8SMTP" : info.extended ? "ESMTP" : "SMTP");
  if (info.tls) out.push_back('S');
  if (info.authenticated) out.push_back('A');
  if (info.tls && !info.tls_version.empty()) {
    out.append(" (").append(info.tls_version).append(" ").append(info.tls_cipher).append(")");
  }
}

}  // namespace

void appendCleanName(std::string& out, std::string_view hello) {
  hello = hello.substr(0, kMaxNameBytes);
  std::transform(hello.begin(), hello.end(), std::back_inserter(out),
                 [](char c) { return isNameByte(c) ? c : '?'; });
  if (hello.empty()) out.append("unknown");
}

void appendAddressLiteral(std::string& out, const IpAddress& address) {
  out.append(address.isV4() ? "[" : "[IPv6:").append(address.toString()).append("]");
}

void appendReceived(std::string& out, const TraceInfo& info) {
  out.append("Received: from ");
  appendCleanName(out, info.hello);
  out.append(" (");
  if (!info.client_name.empty()) {
    appendCleanName(out, info.client_name);
    out.push_back(' ');
  }
  if (info.client == IpAddress()) {
    out.append("unknown");
  } else {
    appendAddressLiteral(out, info.client);
  }
  out.append(")\r\n\tby ").append(info.hostname).append(" with ");
  appendProtocol(out, info);
  out.append(" id ").append(info.id);
  if (!info.only_recipient.empty()) {
    out.append("\r\n\tfor <").append(info.only_recipient).append(">");
  }
  out.append("; ").append(formatRfc5322(info.at)).append("\r\n");
}

}  // namespace sluice::relay
