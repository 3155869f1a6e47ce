// How xtext is checked, decoded and encoded.
#include "net/smtp/xtext.h"

namespace sluice::smtp {
namespace {

int hexValue(char c) {  // upper case only, says RFC 3461 section 4
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool isXchar(char c) { return c > ' ' && c <= '~' && c != '+' && c != '='; }

enum class Allowed { Printable, PrintableOrEightBit };

// Takes one character off the front; -1 if it is not of the form or not allowed once decoded.
int takeCharacter(std::string_view& encoded, Allowed allowed) {
  const char c = encoded[0];
  if (c != '+') {
    encoded.remove_prefix(1);
    return isXchar(c) ? c : -1;
  }
  if (encoded.size() < 3) return -1;
  const int high = hexValue(encoded[1]);
  const int low = hexValue(encoded[2]);
  encoded.remove_prefix(3);
  if (high < 0 || low < 0) return -1;
  const int value = high * 16 + low;
  if (value >= 0x80 && allowed == Allowed::PrintableOrEightBit) return value;
  return value >= ' ' && value <= '~' ? value : -1;
}

Result<std::string> decode(std::string_view encoded, Allowed allowed) {
  if (encoded.empty()) return fail(Errc::Malformed, "empty xtext");
  std::string out;
  out.reserve(encoded.size());
  while (!encoded.empty()) {
    const int c = takeCharacter(encoded, allowed);
    if (c < 0) return fail(Errc::Malformed, "not xtext");
    out.push_back(static_cast<char>(c));
  }
  return out;
}

}  // namespace

bool isXtext(std::string_view encoded) {
  if (encoded.empty()) return false;
  while (!encoded.empty()) {
    if (takeCharacter(encoded, Allowed::Printable) < 0) return false;
  }
  return true;
}

Result<std::string> decodeXtext(std::string_view encoded) {
  return decode(encoded, Allowed::Printable);
}

Result<std::string> decodeEightBitXtext(std::string_view encoded) {
  return decode(encoded, Allowed::PrintableOrEightBit);
}

std::string encodeXtext(std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    if (isXchar(c)) {
      out.push_back(c);
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    out.push_back('+');
    out.push_back(kHex[byte >> 4]);
    out.push_back(kHex[byte & 15]);
  }
  return out;
}

}  // namespace sluice::smtp
