#include "relay/sign/dkim_signature.h"

#include <algorithm>

namespace sluice::relay {
namespace {

constexpr std::string_view kFold = "\r\n\t";
constexpr size_t kLineBytes = 72;  // of a folded line, about (RFC 5322 section 2.1.1: 78)

// The form that is hashed: our own field is written so that only its lines need unfolding.
std::string relaxed(std::string_view field) {
  std::string out = "dkim-signature:";
  field.remove_prefix(field.find(':') + 2);
  for (size_t at = field.find(kFold); at != std::string_view::npos; at = field.find(kFold)) {
    out.append(field.substr(0, at)).append(" ");
    field.remove_prefix(at + kFold.size());
  }
  return out.append(field);
}

// h=, folded behind colons, where white space means nothing.
void appendNames(std::string& out, std::string_view names) {
  size_t line_bytes = 2;
  while (!names.empty()) {
    const std::string_view name = names.substr(0, names.find(':') + 1);
    const std::string_view piece = name.empty() ? names : name;  // the last one has no colon
    if (line_bytes + piece.size() > kLineBytes) {
      out.append(kFold);
      line_bytes = 0;
    }
    out.append(piece);
    line_bytes += piece.size();
    names.remove_prefix(piece.size());
  }
}

int64_t secondsOf(WallTime time) {
  return std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count();
}

}  // namespace

// Fields of one name are taken from the bottom up (RFC 6376 section 5.4.2); a name that stands once
// more than its field is there covers that there is no other.
CoveredHeader coverHeader(const HeaderFields& header) {
  CoveredHeader out;
  const auto& fields = header.fields();
  const auto& covered = HeaderFields::covered();
  for (size_t which = 0; which < covered.size(); ++which) {
    size_t count = covered[which].cover == Cover::Always ? 1 : 0;
    for (auto field = fields.rbegin(); field != fields.rend(); ++field) {
      if (field->covered != which) continue;
      if (count == 0 && covered[which].cover == Cover::IfPresent) ++count;
      ++count;
      out.hash.update(header.text(*field));
    }
    for (; count > 0; --count) {
      if (!out.names.empty()) out.names.push_back(':');
      out.names.append(covered[which].name);
    }
  }
  return out;
}

DkimDraft draftSignature(const DkimKey& key, const CoveredHeader& header,
                         const net::Sha256Digest& body_hash, WallTime now) {
  DkimDraft draft;
  draft.key = key.key;
  std::string& field = draft.field;
  field.reserve(512 + header.names.size());
  const bool rsa = key.key->kind() == net::SigningKey::Kind::Rsa;
  field.append("DKIM-Signature: v=1; a=").append(rsa ? "rsa" : "ed25519");
  field.append("-sha256; c=relaxed/relaxed;").append(kFold);
  field.append("d=").append(key.domain).append(";").append(kFold);
  field.append("s=").append(key.selector).append(";");
  if (secondsOf(now) > 0) field.append(" t=").append(std::to_string(secondsOf(now))).append(";");
  field.append(kFold).append("h=");
  appendNames(field, header.names);
  field.append(";").append(kFold).append("bh=");
  field.append(net::base64Encode(net::asView(body_hash))).append(";").append(kFold).append("b=");
  net::Sha256Stream hash = header.hash;
  hash.update(relaxed(field));  // RFC 6376 section 3.7: without a CRLF at its end
  draft.digest = hash.digest();
  return draft;
}

std::string completeSignature(const DkimDraft& draft, std::string_view signature) {
  const std::string text = net::base64Encode(signature);
  std::string field = draft.field;
  for (size_t at = 0; at < text.size(); at += kLineBytes) {
    if (at > 0) field.append(kFold);
    field.append(text, at, kLineBytes);
  }
  return field.append("\r\n");
}

}  // namespace sluice::relay
