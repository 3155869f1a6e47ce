#include "net/proxy_header.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace sluice::net {
namespace {

constexpr std::string_view kSignature{"\r\n\r\n\0\r\nQUIT\n", 12};
constexpr std::string_view kText = "PROXY ";
constexpr size_t kMaxTextBytes = 107;  // section 2.1, with CRLF
constexpr size_t kPrefixBytes = 16;    // section 2.2: signature, version, family, length
constexpr size_t kV4Bytes = 12;
constexpr size_t kV6Bytes = 36;

tl::unexpected<Error> malformed(const char* what) {
  return fail(Errc::Malformed, std::string("PROXY header: ") + what);
}

// Digits without sign or leading zero, within 16 bits.
std::optional<uint16_t> readPort(std::string_view text) {
  uint16_t port = 0;
  if (text.empty() || text.size() > 5 || (text[0] == '0' && text.size() > 1)) return std::nullopt;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return port;
}

std::string_view takeWord(std::string_view& text) {
  const std::string_view word = text.substr(0, text.find(' '));
  text.remove_prefix(std::min(word.size() + 1, text.size()));
  return word;
}

// The line behind "PROXY ", without its CRLF.
Result<ProxyHeader> readText(std::string_view line) {
  const std::string_view family = takeWord(line);
  if (family == "UNKNOWN") return ProxyHeader{};  // the rest of the line is to be ignored
  if (family != "TCP4" && family != "TCP6") return malformed("no known protocol");
  const auto source = IpAddress::parse(takeWord(line));
  const auto destination = IpAddress::parse(takeWord(line));
  const auto source_port = readPort(takeWord(line));
  const bool last_word = line.find(' ') == line.npos;
  const auto destination_port = readPort(line);
  if (!source || !destination || !source_port || !destination_port || !last_word) {
    return malformed("no addresses and ports");
  }
  // IPv4 may travel as TCP6 in its mapped form, but not the other way round.
  if (family == "TCP4" && !(source->isV4() && destination->isV4())) {
    return malformed("addresses of another family");
  }
  return ProxyHeader{true, {*source, *source_port}, {*destination, *destination_port}};
}

uint16_t numberAt(std::string_view bytes, size_t at) {
  return static_cast<uint16_t>(static_cast<uint8_t>(bytes[at]) << 8 |
                               static_cast<uint8_t>(bytes[at + 1]));
}

template <size_t N>
std::array<uint8_t, N> bytesAt(std::string_view bytes, size_t at) {
  std::array<uint8_t, N> out;
  std::copy_n(reinterpret_cast<const uint8_t*>(bytes.data() + at), N, out.begin());
  return out;
}

ProxyHeader readV4(std::string_view bytes) {
  return {true,
          {IpAddress::v4(bytesAt<4>(bytes, 0)), numberAt(bytes, 8)},
          {IpAddress::v4(bytesAt<4>(bytes, 4)), numberAt(bytes, 10)}};
}

ProxyHeader readV6(std::string_view bytes) {
  return {true,
          {IpAddress::v6(bytesAt<16>(bytes, 0)), numberAt(bytes, 32)},
          {IpAddress::v6(bytesAt<16>(bytes, 16)), numberAt(bytes, 34)}};
}

}  // namespace

// Takes of `input` until `wanted` bytes are kept; false while they are not.
bool ProxyHeaderParser::take(std::string_view& input, size_t wanted) {
  if (kept_.size() < wanted) {
    const std::string_view part = input.substr(0, wanted - kept_.size());
    kept_.append(part);
    input.remove_prefix(part.size());
  }
  return kept_.size() >= wanted;
}

Result<std::optional<ProxyHeader>> ProxyHeaderParser::feed(std::string_view& input) {
  if (!skipping_for_) {
    if (kept_.empty() && !take(input, 1)) return std::nullopt;
    if (kept_.front() == kText.front()) return feedText(input);
    return feedBinary(input);
  }
  const size_t skipped = std::min(to_skip_, input.size());
  input.remove_prefix(skipped);
  to_skip_ -= skipped;
  if (to_skip_ > 0) return std::nullopt;
  return skipping_for_;
}

Result<std::optional<ProxyHeader>> ProxyHeaderParser::feedText(std::string_view& input) {
  while (!kept_.ends_with('\n')) {
    if (kept_.size() == kMaxTextBytes) return malformed("no end of its line");
    if (!take(input, kept_.size() + 1)) return std::nullopt;
    const size_t compared = std::min(kept_.size(), kText.size());
    if (kept_.compare(0, compared, kText, 0, compared) != 0) return malformed("does not begin so");
  }
  std::string_view line(kept_);
  if (!line.ends_with("\r\n")) return malformed("does not end in CRLF");
  line.remove_suffix(2);
  line.remove_prefix(std::min(kText.size(), line.size()));
  ASSIGN_OR_RETURN(ProxyHeader header, readText(line));
  return std::optional<ProxyHeader>(header);
}

Result<std::optional<ProxyHeader>> ProxyHeaderParser::feedBinary(std::string_view& input) {
  const bool prefix = take(input, kPrefixBytes);
  const size_t compared = std::min(kept_.size(), kSignature.size());
  if (std::string_view(kept_).substr(0, compared) != kSignature.substr(0, compared)) {
    return malformed("does not begin so");
  }
  if (!prefix) return std::nullopt;
  const auto version_and_command = static_cast<uint8_t>(kept_[12]);
  const auto family_and_protocol = static_cast<uint8_t>(kept_[13]);
  const size_t length = numberAt(kept_, 14);
  if (version_and_command >> 4 != 2) return malformed("of an unknown version");
  if ((version_and_command & 0xf) > 1) return malformed("with an unknown command");
  const bool local = (version_and_command & 0xf) == 0;
  // Only a stream over IPv4 or IPv6 has addresses that mean something here.
  const size_t addresses = local                         ? 0
                           : family_and_protocol == 0x11 ? kV4Bytes
                           : family_and_protocol == 0x21 ? kV6Bytes
                                                         : 0;
  if (length < addresses) return malformed("too short for its addresses");
  if (!take(input, kPrefixBytes + addresses)) return std::nullopt;
  const std::string_view body = std::string_view(kept_).substr(kPrefixBytes);
  skipping_for_ = addresses == kV4Bytes   ? readV4(body)
                  : addresses == kV6Bytes ? readV6(body)
                                          : ProxyHeader{};
  to_skip_ = length - addresses;
  return feed(input);
}

}  // namespace sluice::net
