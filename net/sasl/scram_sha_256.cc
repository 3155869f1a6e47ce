#include "net/sasl/scram_sha_256.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "net/sasl/plain.h"

namespace sluice::sasl {
namespace {

using net::asView;
using net::Sha256Digest;

constexpr size_t kNonceBytes = 18;  // 24 characters
constexpr size_t kMaxNonceBytes = 512;
constexpr size_t kMaxSaltBytes = 1024;

Sha256Digest exclusiveOr(Sha256Digest a, std::string_view b) {
  for (size_t i = 0; i < a.size(); ++i) a[i] ^= static_cast<uint8_t>(b[i]);
  return a;
}

// Takes "k=value" off the front, with the comma behind it.
std::optional<std::string_view> takeAttribute(std::string_view& message, char name) {
  if (message.size() < 2 || message[0] != name || message[1] != '=') return std::nullopt;
  const size_t end = std::min(message.find(','), message.size());
  const std::string_view value = message.substr(2, end - 2);
  message.remove_prefix(std::min(end + 1, message.size()));
  return value;
}

// RFC 5802 section 5.1: "=2C" and "=3D" for what the syntax needs itself.
std::optional<std::string> readSaslName(std::string_view text) {
  std::string name;
  while (!text.empty()) {
    if (text.front() != '=') {
      name += text.front();
      text.remove_prefix(1);
      continue;
    }
    if (!text.starts_with("=2C") && !text.starts_with("=3D")) return std::nullopt;
    name += text[2] == 'C' ? ',' : '=';
    text.remove_prefix(3);
  }
  return name;
}

// "printable": what a nonce may consist of.
bool isNonce(std::string_view text) {
  return !text.empty() && text.size() <= kMaxNonceBytes &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

Error malformed(std::string_view what) { return {Errc::Malformed, "SCRAM: " + std::string(what)}; }

constexpr std::string_view kBindingName = "p=tls-exporter";

}  // namespace

std::string writeSaslName(std::string_view name) {
  std::string text;
  for (const char c : name) {
    if (c == ',') {
      text += "=2C";
    } else if (c == '=') {
      text += "=3D";
    } else {
      text += c;
    }
  }
  return text;
}

Result<ScramKeys> deriveScramKeys(std::string_view password, std::string_view salt,
                                  uint32_t iterations) {
  if (iterations < kMinScramIterations || iterations > kMaxScramIterations) {
    return fail(Errc::InvalidArgument, "SCRAM iterations out of bounds");
  }
  ASSIGN_OR_RETURN(const Sha256Digest salted, net::pbkdf2Sha256(password, salt, iterations));
  return ScramKeys{net::hmacSha256(asView(salted), "Client Key"),
                   net::hmacSha256(asView(salted), "Server Key")};
}

ScramVerifier scramVerifier(const ScramKeys& keys, std::string salt, uint32_t iterations) {
  return {std::move(salt), iterations, net::sha256(asView(keys.client_key)), keys.server_key};
}

std::string freshScramNonce() {
  std::array<uint8_t, kNonceBytes> bytes;
  net::randomBytes(bytes);
  return net::base64Encode(asView(bytes));
}

// --- Server --------------------------------------------------------------------------------------

Result<std::string> ScramServer::onClientFirst(std::string_view message) {
  const std::string_view whole = message;
  const size_t flag_end = message.find(',');
  if (flag_end == message.npos) return tl::unexpected(malformed("no channel binding flag"));
  const std::string_view flag = message.substr(0, flag_end);
  message.remove_prefix(flag_end + 1);
  if (flag.starts_with("p=") ? !binding_.plus : binding_.plus) {
    return tl::unexpected(malformed("the channel binding flag does not fit the mechanism"));
  }
  if (binding_.plus && flag != kBindingName) {
    return fail(Errc::Refused, "SCRAM: no such channel binding");
  }
  if (!binding_.plus && flag != "n" && flag != "y") {
    return tl::unexpected(malformed("unknown channel binding flag"));
  }
  // Somebody has hidden from the client that we offer channel binding (RFC 5802 section 6).
  if (flag == "y" && binding_.plus_offered) return fail(Errc::Refused, "SCRAM: downgraded");
  std::optional<std::string> authzid;
  if (message.starts_with(',')) {
    message.remove_prefix(1);
  } else if (const auto written = takeAttribute(message, 'a')) {
    authzid = readSaslName(*written);
    if (!authzid) return tl::unexpected(malformed("a name that is none"));
  } else {
    return tl::unexpected(malformed("no header"));
  }
  gs2_header_ = whole.substr(0, whole.size() - message.size());
  auth_message_ = message;
  const auto written = takeAttribute(message, 'n');  // "m=" asks for what we do not know: fails
  const auto user = written ? readSaslName(*written) : std::nullopt;
  const auto nonce = takeAttribute(message, 'r');
  if (!user || !isUserName(*user) || !nonce || !isNonce(*nonce)) {
    return tl::unexpected(malformed("no user or no nonce"));
  }
  if (authzid && *authzid != *user) return fail(Errc::Refused, "nobody acts as another");
  nonce_.insert(0, *nonce);
  return *user;
}

std::string ScramServer::challenge(const ScramVerifier& verifier) {
  verifier_ = verifier;
  std::string message = "r=" + nonce_ + ",s=" + net::base64Encode(verifier.salt) +
                        ",i=" + std::to_string(verifier.iterations);
  auth_message_.append(",").append(message).append(",");
  return message;
}

Result<std::string> ScramServer::onClientFinal(std::string_view message) {
  const size_t proof_at = message.rfind(",p=");
  if (proof_at == message.npos) return tl::unexpected(malformed("no proof"));
  const auto proof = net::base64Decode(message.substr(proof_at + 3));
  std::string_view rest = message.substr(0, proof_at);
  auth_message_.append(rest);
  const auto header = takeAttribute(rest, 'c');
  const auto nonce = takeAttribute(rest, 'r');
  const auto bound = header ? net::base64Decode(*header) : fail(Errc::Malformed, "");
  if (!proof || proof->size() != Sha256Digest().size() || !bound || !nonce) {
    return tl::unexpected(malformed("no proof, no nonce or no header"));
  }
  const std::string binding = gs2_header_ + (binding_.plus ? binding_.exporter : "");
  const Sha256Digest signature = net::hmacSha256(asView(verifier_.stored_key), auth_message_);
  const Sha256Digest client_key = exclusiveOr(signature, *proof);
  const bool proven =
      net::constantTimeEqual(asView(net::sha256(asView(client_key))), asView(verifier_.stored_key));
  if (*nonce != nonce_ || !net::constantTimeEqual(*bound, binding) || !proven) {
    return fail(Errc::Refused, "SCRAM: the proof is wrong");
  }
  return "v=" +
         net::base64Encode(asView(net::hmacSha256(asView(verifier_.server_key), auth_message_)));
}

// --- Client --------------------------------------------------------------------------------------

std::string ScramClient::first() {
  auth_message_ = "n=" + writeSaslName(user_) + ",r=" + nonce_;
  return (binding_.plus ? std::string(kBindingName) : "n") + ",," + auth_message_;
}

Result<void> ScramClient::onServerFirst(std::string_view message) {
  const std::string_view whole = message;
  const auto nonce = takeAttribute(message, 'r');
  const auto salt = takeAttribute(message, 's');
  const auto iterations = takeAttribute(message, 'i');
  const auto decoded = salt ? net::base64Decode(*salt) : fail(Errc::Malformed, "");
  if (!nonce || !isNonce(*nonce) || !iterations || !decoded || decoded->size() > kMaxSaltBytes) {
    return tl::unexpected(malformed("a challenge that is none"));
  }
  const auto [end, error] =
      std::from_chars(iterations->data(), iterations->data() + iterations->size(), iterations_);
  if (error != std::errc() || end != iterations->data() + iterations->size()) {
    return tl::unexpected(malformed("no number of iterations"));
  }
  if (!nonce->starts_with(nonce_) || nonce->size() == nonce_.size()) {
    return fail(Errc::Refused, "SCRAM: the server's nonce is not made from ours");
  }
  if (iterations_ < kMinScramIterations || iterations_ > kMaxScramIterations) {
    return fail(Errc::Refused,
                "SCRAM: the server wants " + std::to_string(iterations_) + " iterations");
  }
  salt_ = *decoded;
  nonce_ = *nonce;
  auth_message_.append(",").append(whole).append(",");
  return {};
}

std::string ScramClient::final(const ScramKeys& keys) {
  const std::string header =
      binding_.plus ? std::string(kBindingName) + ",," + binding_.exporter : "n,,";
  const std::string without_proof = "c=" + net::base64Encode(header) + ",r=" + nonce_;
  auth_message_.append(without_proof);
  const Sha256Digest stored_key = net::sha256(asView(keys.client_key));
  const Sha256Digest signature = net::hmacSha256(asView(stored_key), auth_message_);
  const Sha256Digest proof = exclusiveOr(keys.client_key, asView(signature));
  server_signature_ = net::hmacSha256(asView(keys.server_key), auth_message_);
  return without_proof + ",p=" + net::base64Encode(asView(proof));
}

Result<void> ScramClient::onServerFinal(std::string_view message) const {
  const auto signature = takeAttribute(message, 'v');
  const auto decoded = signature ? net::base64Decode(*signature) : fail(Errc::Malformed, "");
  if (!decoded) return tl::unexpected(malformed("no signature of the server"));
  if (!net::constantTimeEqual(*decoded, asView(server_signature_))) {
    return fail(Errc::Refused, "SCRAM: the server does not know the password");
  }
  return {};
}

}  // namespace sluice::sasl
