#include "net/smtp/server_offer.h"

#include <charconv>

#include "net/smtp/path.h"

namespace sluice::smtp {
namespace {

std::string_view takeWord(std::string_view& text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  const size_t end = std::min(text.find(' '), text.size());
  const std::string_view word = text.substr(0, end);
  text.remove_prefix(end);
  return word;
}

template <class Number>
std::optional<Number> readNumber(std::string_view text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

void readLimits(std::string_view rest, ServerOffer& offer) {
  for (std::string_view word = takeWord(rest); !word.empty(); word = takeWord(rest)) {
    const size_t equals = word.find('=');
    if (equals == std::string_view::npos) continue;
    const auto value = readNumber<uint32_t>(word.substr(equals + 1));
    if (!value || *value == 0) continue;
    if (equalsIgnoringCase(word.substr(0, equals), "RCPTMAX")) offer.rcpt_max = value;
    if (equalsIgnoringCase(word.substr(0, equals), "MAILMAX")) offer.mail_max = value;
  }
}

void readKeyword(std::string_view line, ServerOffer& offer) {
  const std::string_view keyword = takeWord(line);
  const auto is = [&](std::string_view name) { return equalsIgnoringCase(keyword, name); };
  if (is("PIPELINING")) offer.pipelining = true;
  if (is("8BITMIME")) offer.eight_bit_mime = true;
  if (is("SMTPUTF8")) offer.smtputf8 = true;
  if (is("DSN")) offer.dsn = true;
  if (is("CHUNKING")) offer.chunking = true;
  if (is("STARTTLS")) offer.starttls = true;
  if (is("REQUIRETLS")) offer.require_tls = true;
  if (is("LIMITS")) readLimits(line, offer);
  if (is("SIZE")) {
    offer.size = true;
    const auto size = readNumber<uint64_t>(takeWord(line));
    if (size && *size > 0) offer.max_size = size;
  }
  if (is("AUTH")) {
    for (std::string_view word = takeWord(line); !word.empty(); word = takeWord(line)) {
      std::string mechanism(word);
      for (char& c : mechanism) {
        if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
      }
      offer.auth.push_back(std::move(mechanism));
    }
  }
}

}  // namespace

ServerOffer readOffer(const Reply& ehlo_reply) {
  ServerOffer offer;
  offer.esmtp = true;
  std::string_view text = ehlo_reply.text;
  bool first = true;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (first) {
      offer.name = takeWord(line);
    } else {
      readKeyword(line, offer);
    }
    first = false;
  }
  return offer;
}

}  // namespace sluice::smtp
