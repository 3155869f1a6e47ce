#include "relay/sign/dkim_record.h"

#include <algorithm>
#include <map>
#include <optional>

namespace sluice::relay {
namespace {

constexpr size_t kMaxStringBytes = 255;

std::string_view algorithmOf(const net::SigningKey& key) {
  return key.kind() == net::SigningKey::Kind::Rsa ? "rsa" : "ed25519";
}

// White space may stand around tags and within values; where these are words or base64, it means
// nothing.
std::string withoutWhite(std::string_view text) {
  std::string out;
  std::copy_if(text.begin(), text.end(), std::back_inserter(out),
               [](char c) { return c != ' ' && c != '\t' && c != '\r' && c != '\n'; });
  return out;
}

using Tags = std::map<std::string, std::string>;

// RFC 6376 section 3.2; nothing if it is no list of tags.
std::optional<Tags> tagsOf(std::string_view record) {
  Tags tags;
  while (!record.empty()) {
    const size_t end = std::min(record.size(), record.find(';'));
    const std::string tag = withoutWhite(record.substr(0, end));
    record.remove_prefix(std::min(record.size(), end + 1));
    if (tag.empty() && record.empty()) break;
    const size_t equals = tag.find('=');
    if (equals == std::string::npos || equals == 0) return std::nullopt;
    if (!tags.emplace(tag.substr(0, equals), tag.substr(equals + 1)).second) return std::nullopt;
  }
  return tags;
}

// Whether a list "a:b:c" has the word, or is not there.
bool allows(const Tags& tags, const std::string& tag, std::string_view word) {
  const auto found = tags.find(tag);
  if (found == tags.end()) return true;
  const std::string list = ":" + found->second + ":";
  return list.find(":*:") != std::string::npos ||
         list.find(":" + std::string(word) + ":") != std::string::npos;
}

}  // namespace

std::string dkimRecordName(std::string_view domain, std::string_view selector) {
  return std::string(selector) + "._domainkey." + std::string(domain);
}

std::string dkimRecord(const net::SigningKey& key) {
  return "v=DKIM1; k=" + std::string(algorithmOf(key)) +
         "; p=" + net::base64Encode(key.publicKey());
}

std::string dkimZoneLine(const std::string& name, std::string_view record) {
  std::string line = name + ". IN TXT (";
  for (; !record.empty(); record.remove_prefix(std::min(record.size(), kMaxStringBytes))) {
    line.append(" \"").append(record.substr(0, kMaxStringBytes)).append("\"");
  }
  return line + " )";
}

std::string whyRecordsDoNotFit(const std::vector<std::string>& records,
                               const net::SigningKey& key) {
  if (records.empty()) return "there is no TXT record";
  if (records.size() > 1) return "there are several TXT records; there may be one";
  const auto tags = tagsOf(records.front());
  if (!tags) return "the record is no list of tags";
  const auto value = [&](const std::string& tag, std::string otherwise) {
    const auto found = tags->find(tag);
    return found == tags->end() ? otherwise : found->second;
  };
  if (value("v", "DKIM1") != "DKIM1") return "the record is no DKIM record (v=)";
  if (value("k", "rsa") != algorithmOf(key)) {
    return "the record is for k=" + value("k", "rsa") + ", the key is " +
           std::string(algorithmOf(key));
  }
  if (!allows(*tags, "h", "sha256")) return "the record does not allow sha256 (h=)";
  if (!allows(*tags, "s", "email")) return "the record does not allow mail (s=)";
  const std::string published = value("p", "");
  if (published.empty()) return "the record revokes its key (p= is empty)";
  if (published != net::base64Encode(key.publicKey())) return "the record holds another key (p=)";
  return {};
}

}  // namespace sluice::relay
