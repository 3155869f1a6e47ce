#include "net/smtp/xclient.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "net/smtp/path.h"
#include "net/smtp/xtext.h"

namespace sluice::smtp {
namespace {

constexpr size_t kMaxValueBytes = 255;  // a domain's length; Postfix's own bound for a value

std::string_view takeWord(std::string_view& text) {
  const std::string_view word = text.substr(0, text.find(' '));
  text.remove_prefix(word.size());
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  return word;
}

// A value decoded; empty where it says that it is not known.
std::optional<std::string> readValue(std::string_view text) {
  if (equalsIgnoringCase(text, "[UNAVAILABLE]") || equalsIgnoringCase(text, "[TEMPUNAVAIL]")) {
    return "";
  }
  auto decoded = decodeXtext(text);
  if (!decoded || decoded->size() > kMaxValueBytes) return std::nullopt;
  return std::move(*decoded);
}

bool readText(std::string value, std::optional<std::string>& out) {
  out = std::move(value);
  return true;
}

// "192.0.2.1" or "IPV6:2001:db8::1"; Postfix takes IPv6 only with that in front.
bool readAddress(std::string_view value, std::optional<std::optional<IpAddress>>& out) {
  if (value.empty()) {
    out.emplace(std::nullopt);
    return true;
  }
  constexpr std::string_view kIpv6 = "IPV6:";
  const bool v6 = equalsIgnoringCase(value.substr(0, kIpv6.size()), kIpv6);
  if (v6) value.remove_prefix(kIpv6.size());
  const auto address = IpAddress::parse(value);
  if (!address || (value.find(':') != value.npos) != v6) return false;
  out.emplace(*address);
  return true;
}

bool readPort(std::string_view value, std::optional<uint16_t>& out) {
  uint16_t port = 0;
  if (!value.empty()) {
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), port);
    if (error != std::errc() || end != value.data() + value.size() || port == 0) return false;
  }
  out = port;
  return true;
}

bool readProtocol(std::string_view value, std::optional<bool>& out) {
  out = equalsIgnoringCase(value, "ESMTP");
  return *out || equalsIgnoringCase(value, "SMTP");
}

struct Attribute {
  std::string_view name;
  bool (*read)(std::string value, XClientCommand& out);
};

constexpr std::array kAttributes{
    Attribute{"NAME", [](std::string v, XClientCommand& out) { return readText(v, out.name); }},
    Attribute{"ADDR",
              [](std::string v, XClientCommand& out) { return readAddress(v, out.address); }},
    Attribute{"PORT", [](std::string v, XClientCommand& out) { return readPort(v, out.port); }},
    Attribute{"PROTO",
              [](std::string v, XClientCommand& out) { return readProtocol(v, out.extended); }},
    Attribute{"HELO", [](std::string v, XClientCommand& out) { return readText(v, out.hello); }},
    Attribute{"LOGIN", [](std::string v, XClientCommand& out) { return readText(v, out.login); }},
    Attribute{
        "DESTADDR",
        [](std::string v, XClientCommand& out) { return readAddress(v, out.destination_address); }},
    Attribute{"DESTPORT",
              [](std::string v, XClientCommand& out) { return readPort(v, out.destination_port); }},
};

tl::unexpected<Rejection> malformed(std::string text) {
  return tl::unexpected<Rejection>(Rejection{501, {5, 5, 4}, std::move(text)});
}

}  // namespace

Parsed<XClientCommand> parseXClient(std::string_view argument) {
  XClientCommand command;
  unsigned seen = 0;
  argument = argument.substr(std::min(argument.find_first_not_of(' '), argument.size()));
  while (!argument.empty()) {
    const std::string_view word = takeWord(argument);
    const size_t equals = word.find('=');
    if (equals == word.npos) return malformed("Syntax: XCLIENT attribute=value...");
    size_t index = 0;
    while (index < kAttributes.size() &&
           !equalsIgnoringCase(kAttributes[index].name, word.substr(0, equals))) {
      ++index;
    }
    if (index == kAttributes.size()) return malformed("Attribute not known");
    if (seen & (1u << index)) return malformed("Attribute given twice");
    seen |= 1u << index;
    auto value = readValue(word.substr(equals + 1));
    if (!value || !kAttributes[index].read(std::move(*value), command)) {
      return malformed("Bad value of " + std::string(kAttributes[index].name));
    }
  }
  if (seen == 0) return malformed("Syntax: XCLIENT attribute=value...");
  return command;
}

}  // namespace sluice::smtp
