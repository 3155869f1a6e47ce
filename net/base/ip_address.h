// IP addresses, endpoints and networks as values. No I/O.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "net/base/result.h"

struct sockaddr;
struct sockaddr_storage;

namespace sluice {

// IPv4 or IPv6. An IPv4-mapped IPv6 address is kept as the IPv4 address that it means.
class IpAddress {
 public:
  IpAddress() = default;                                  // 0.0.0.0
  static Result<IpAddress> parse(std::string_view text);  // "192.0.2.1", "2001:db8::1"; no zone
  static IpAddress v4(std::array<uint8_t, 4> bytes);
  static IpAddress v6(std::array<uint8_t, 16> bytes);

  bool isV4() const { return v4_; }
  bool isLoopback() const;
  // Not a place of the public Internet: unspecified, loopback, private (RFC 1918, RFC 4193),
  // shared (RFC 6598), link-local, multicast, broadcast, and NAT64 forms that embed one of these.
  bool isPrivate() const;
  // 16 bytes; an IPv4 address in its mapped form.
  const std::array<uint8_t, 16>& bytes() const { return bytes_; }
  std::string toString() const;

  auto operator<=>(const IpAddress&) const = default;

 private:
  bool v4_ = true;
  std::array<uint8_t, 16> bytes_{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0};
};

struct Endpoint {
  IpAddress address;
  uint16_t port = 0;

  // "127.0.0.1:25", "[::1]:25"; a host name is an error.
  static Result<Endpoint> parse(std::string_view text);
  static Endpoint from(const sockaddr& address);
  void to(sockaddr_storage& out) const;
  std::string toString() const;
  auto operator<=>(const Endpoint&) const = default;
};

// "10.0.0.0/8", "::1/128", or a bare address. Host bits must be zero.
class IpNetwork {
 public:
  static Result<IpNetwork> parse(std::string_view text);
  bool contains(const IpAddress& address) const;
  bool isLoopback() const;  // lies within 127/8 or is ::1
  int prefix() const { return prefix_; }
  const IpAddress& base() const { return base_; }
  std::string toString() const;

 private:
  IpAddress base_;
  int prefix_ = 32;  // in the family of base_
};

}  // namespace sluice

template <>
struct std::hash<sluice::IpAddress> {
  size_t operator()(const sluice::IpAddress& address) const noexcept {
    return std::hash<std::string_view>()(
        {reinterpret_cast<const char*>(address.bytes().data()), address.bytes().size()});
  }
};
template <>
struct std::hash<sluice::Endpoint> {
  size_t operator()(const sluice::Endpoint& endpoint) const noexcept {
    return std::hash<sluice::IpAddress>()(endpoint.address) * 31 + endpoint.port;
  }
};
