// How is an IP address, an endpoint or a network written, read and compared?
#include "net/base/ip_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace sluice {
namespace {

constexpr size_t kV4Offset = 12;  // of the IPv4 bytes in the mapped form
constexpr std::array<uint8_t, 12> kMappedPrefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
constexpr std::array<uint8_t, 12> kNat64Prefix{0, 0x64, 0xff, 0x9b};            // RFC 6052 §2.1
constexpr std::array<uint8_t, 6> kLocalNat64Prefix{0, 0x64, 0xff, 0x9b, 0, 1};  // RFC 8215
constexpr std::array<uint8_t, 2> k6to4Prefix{0x20, 0x02};                       // RFC 3056 §2

template <size_t N>
bool startsWith(const std::array<uint8_t, 16>& bytes, const std::array<uint8_t, N>& prefix) {
  return std::equal(prefix.begin(), prefix.end(), bytes.begin());
}

std::array<uint8_t, 4> fourBytesAt(const std::array<uint8_t, 16>& bytes, size_t offset) {
  return {bytes[offset], bytes[offset + 1], bytes[offset + 2], bytes[offset + 3]};
}

bool isPrivateV4(std::array<uint8_t, 4> ip) {
  return ip[0] == 0 || ip[0] == 10 || ip[0] == 127 ||     // RFC 1122 §3.2.1.3, RFC 1918 §3
         (ip[0] == 100 && (ip[1] & 0xc0) == 64) ||        // 100.64/10, RFC 6598
         (ip[0] == 169 && ip[1] == 254) ||                // link-local, RFC 3927
         (ip[0] == 172 && (ip[1] & 0xf0) == 16) ||        // 172.16/12
         (ip[0] == 192 && ip[1] == 168) || ip[0] >= 224;  // multicast, reserved, broadcast
}

bool isPrivateV6(const std::array<uint8_t, 16>& ip) {
  // ::/96 holds the unspecified address, loopback, and IPv4-compatible forms that nobody routes.
  if (std::all_of(ip.begin(), ip.begin() + kV4Offset, [](uint8_t b) { return b == 0; }))
    return true;
  if (startsWith(ip, kNat64Prefix)) return isPrivateV4(fourBytesAt(ip, kV4Offset));
  if (startsWith(ip, kLocalNat64Prefix)) return true;
  if (startsWith(ip, k6to4Prefix)) return isPrivateV4(fourBytesAt(ip, k6to4Prefix.size()));
  return (ip[0] & 0xfe) == 0xfc ||                  // fc00::/7, RFC 4193
         (ip[0] == 0xfe && (ip[1] & 0x80) != 0) ||  // fe80::/10 and the old site-local fec0::/10
         ip[0] == 0xff;                             // multicast
}

// Digits only, without sign or blank.
template <class Number>
Result<Number> parseNumber(std::string_view text, std::string_view what) {
  Number number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) {
    return fail(Errc::Malformed, std::string(what) + " is not a number in range");
  }
  return number;
}

bool hostBitsAreZero(const std::array<uint8_t, 16>& bytes, int prefix_of_128) {
  for (int bit = prefix_of_128; bit < 128; ++bit) {
    if ((bytes[static_cast<size_t>(bit) / 8] & (0x80 >> (bit % 8))) != 0) return false;
  }
  return true;
}

}  // namespace

Result<IpAddress> IpAddress::parse(std::string_view text) {
  char copy[INET6_ADDRSTRLEN];
  if (text.size() >= sizeof(copy) || text.find('\0') != std::string_view::npos) {
    return fail(Errc::Malformed, "not an IP address");
  }
  std::memcpy(copy, text.data(), text.size());
  copy[text.size()] = '\0';
  std::array<uint8_t, 4> four;
  if (inet_pton(AF_INET, copy, four.data()) == 1) return v4(four);
  std::array<uint8_t, 16> sixteen;
  if (inet_pton(AF_INET6, copy, sixteen.data()) == 1) return v6(sixteen);
  return fail(Errc::Malformed, "not an IP address");
}

IpAddress IpAddress::v4(std::array<uint8_t, 4> bytes) {
  IpAddress address;
  std::copy(bytes.begin(), bytes.end(), address.bytes_.begin() + kV4Offset);
  return address;
}

IpAddress IpAddress::v6(std::array<uint8_t, 16> bytes) {
  IpAddress address;
  address.v4_ = startsWith(bytes, kMappedPrefix);
  address.bytes_ = bytes;
  return address;
}

bool IpAddress::isLoopback() const {
  if (v4_) return bytes_[kV4Offset] == 127;
  return bytes_[15] == 1 &&
         std::all_of(bytes_.begin(), bytes_.end() - 1, [](uint8_t b) { return b == 0; });
}

bool IpAddress::isPrivate() const {
  return v4_ ? isPrivateV4(fourBytesAt(bytes_, kV4Offset)) : isPrivateV6(bytes_);
}

std::string IpAddress::toString() const {
  char text[INET6_ADDRSTRLEN];
  if (!v4_) return inet_ntop(AF_INET6, bytes_.data(), text, sizeof(text));
  // By hand: inet_ntop takes a printf for it, and each message has its client's address written.
  char* at = text;
  for (size_t i = kV4Offset; i < bytes_.size(); ++i) {
    if (i > kV4Offset) *at++ = '.';
    at = std::to_chars(at, text + sizeof text, bytes_[i]).ptr;
  }
  return {text, at};
}

Result<Endpoint> Endpoint::parse(std::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return fail(Errc::Malformed, "no port");
  std::string_view host = text.substr(0, colon);
  const bool bracketed = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  if (bracketed != (host.find(':') != std::string_view::npos)) {
    return fail(Errc::Malformed, "an IPv6 address needs brackets, another may have none");
  }
  Endpoint endpoint;
  ASSIGN_OR_RETURN(endpoint.address, IpAddress::parse(host));
  ASSIGN_OR_RETURN(endpoint.port, parseNumber<uint16_t>(text.substr(colon + 1), "port"));
  return endpoint;
}

Endpoint Endpoint::from(const sockaddr& address) {
  Endpoint endpoint;
  if (address.sa_family == AF_INET) {
    sockaddr_in in;
    std::memcpy(&in, &address, sizeof(in));
    std::array<uint8_t, 4> bytes;
    std::memcpy(bytes.data(), &in.sin_addr, bytes.size());
    endpoint = {IpAddress::v4(bytes), ntohs(in.sin_port)};
  } else if (address.sa_family == AF_INET6) {
    sockaddr_in6 in6;
    std::memcpy(&in6, &address, sizeof(in6));
    std::array<uint8_t, 16> bytes;
    std::memcpy(bytes.data(), &in6.sin6_addr, bytes.size());
    endpoint = {IpAddress::v6(bytes), ntohs(in6.sin6_port)};
  }
  return endpoint;
}

void Endpoint::to(sockaddr_storage& out) const {
  std::memset(&out, 0, sizeof(out));
  if (address.isV4()) {
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_port = htons(port);
    std::memcpy(&in.sin_addr, address.bytes().data() + kV4Offset, sizeof(in.sin_addr));
    std::memcpy(&out, &in, sizeof(in));
  } else {
    sockaddr_in6 in6{};
    in6.sin6_family = AF_INET6;
    in6.sin6_port = htons(port);
    std::memcpy(&in6.sin6_addr, address.bytes().data(), sizeof(in6.sin6_addr));
    std::memcpy(&out, &in6, sizeof(in6));
  }
}

std::string Endpoint::toString() const {
  const std::string host = address.toString();
  return (address.isV4() ? host : '[' + host + ']') + ':' + std::to_string(port);
}

Result<IpNetwork> IpNetwork::parse(std::string_view text) {
  const size_t slash = text.find('/');
  IpNetwork network;
  ASSIGN_OR_RETURN(network.base_, IpAddress::parse(text.substr(0, slash)));
  const bool v4 = network.base_.isV4();
  network.prefix_ = v4 ? 32 : 128;
  if (slash == std::string_view::npos) return network;

  ASSIGN_OR_RETURN(unsigned prefix, parseNumber<unsigned>(text.substr(slash + 1), "prefix length"));
  // "::ffff:10.0.0.0/104" is 10.0.0.0/8 as its address is 10.0.0.0.
  if (v4 && text.find(':') != std::string_view::npos) {
    if (prefix < 96 || prefix > 128) return fail(Errc::Malformed, "prefix length out of range");
    prefix -= 96;
  }
  if (prefix > (v4 ? 32u : 128u)) return fail(Errc::Malformed, "prefix length out of range");
  network.prefix_ = static_cast<int>(prefix);
  if (!hostBitsAreZero(network.base_.bytes(), network.prefix_ + (v4 ? 96 : 0))) {
    return fail(Errc::Malformed, "bits behind the prefix are set");
  }
  return network;
}

bool IpNetwork::contains(const IpAddress& address) const {
  if (address.isV4() != base_.isV4()) return false;
  const size_t bits = static_cast<size_t>(prefix_) + (base_.isV4() ? 96 : 0);
  const size_t whole = bits / 8;
  if (!std::equal(base_.bytes().begin(), base_.bytes().begin() + static_cast<ptrdiff_t>(whole),
                  address.bytes().begin())) {
    return false;
  }
  if (bits % 8 == 0) return true;
  const int mask = 0xff00 >> (bits % 8);
  return ((base_.bytes()[whole] ^ address.bytes()[whole]) & mask & 0xff) == 0;
}

bool IpNetwork::isLoopback() const {
  return base_.isLoopback() && prefix_ >= (base_.isV4() ? 8 : 128);
}

std::string IpNetwork::toString() const { return base_.toString() + '/' + std::to_string(prefix_); }

}  // namespace sluice
