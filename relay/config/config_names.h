// Names in a configuration: hosts, smart hosts, address spaces, destinations. Pure.
//
// Names are ASCII and come out in lower case; other scripts are written as A-labels (xn--...).
// Errors: Malformed; their details are for the reader of a mistake.
#pragma once

#include <string>
#include <string_view>

#include "net/base/result.h"
#include "relay/config/config.h"

namespace sluice::relay {

// A connector's name: letters, digits, dots, hyphens and underscores, at most 64; it stands in
// queue keys, labels of metrics and log lines.
Result<std::string> parseConnectorName(std::string_view text);

// "relay.example.com": labels of letters, digits and hyphens, at most 253 characters (RFC 1123
// section 2.1); the last label has a letter, so that no IP address passes.
Result<std::string> parseHostName(std::string_view text);

// What may be said in EHLO: a host name, or an address literal "[192.0.2.1]", "[IPv6:2001:db8::1]".
Result<std::string> parseHelo(std::string_view text);

// "smtp.example.net:587", "192.0.2.1", "[2001:db8::1]:25"; port 25 if none is given.
Result<SmartHost> parseSmartHost(std::string_view text);
std::string formatSmartHost(const SmartHost& host);

// "example.com", ".example.com" or "*".
Result<std::string> parseAddressSpace(std::string_view text);

// "example.org", ".example.org", "mx:host.example.net" or "mx:*.example.net".
Result<std::string> parseDestinationMatch(std::string_view text);

// The SHA-256 of a certificate, "AB:CD:..." or without the colons; comes out as the former.
Result<std::string> parseFingerprint(std::string_view text);

// "https://login.example.com/token": as net/http/https_url.h takes it.
Result<std::string> parseHttpsUrl(std::string_view text);

// A DKIM selector: labels, which may be all digits (RFC 6376 section 3.1).
Result<std::string> parseSelector(std::string_view text);

// "postmaster@example.com", the domain in lower case.
Result<std::string> parseMailbox(std::string_view text);

}  // namespace sluice::relay
