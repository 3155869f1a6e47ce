// One DKIM-Signature field: what it says, what of the message it covers, and its written form.
//
// RFC 6376 section 3.5 (tags), section 3.7 (what is hashed), section 5.4.2 (covering fields that
// are not there), RFC 8463 (Ed25519). relaxed/relaxed, always. Pure.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "net/base/clock.h"
#include "net/tls/sha256_stream.h"
#include "net/tls/signing_key.h"
#include "relay/sign/header_fields.h"

namespace sluice::relay {

// Whose signature, and with which key.
struct DkimKey {
  std::string domain;    // d=
  std::string selector;  // s=
  std::shared_ptr<const net::SigningKey> key;
};

// What all signatures of one message have in common.
struct CoveredHeader {
  std::string names;       // h=, without white space
  net::Sha256Stream hash;  // over the fields that it names
};
CoveredHeader coverHeader(const HeaderFields& header);

// A signature that waits for its bytes.
struct DkimDraft {
  std::shared_ptr<const net::SigningKey> key;
  std::string field;         // "DKIM-Signature: ..." up to "b="
  net::Sha256Digest digest;  // what the key has to sign
};
DkimDraft draftSignature(const DkimKey& key, const CoveredHeader& header,
                         const net::Sha256Digest& body_hash, WallTime now);

// The whole field, folded, with its CRLF.
std::string completeSignature(const DkimDraft& draft, std::string_view signature);

}  // namespace sluice::relay
