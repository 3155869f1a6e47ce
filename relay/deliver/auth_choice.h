// Which mechanism does a connector use with what a host offers?
//
// Pure. "auto" takes the best that does with a password: SCRAM-SHA-256, then PLAIN, then LOGIN; or,
// where the connector has tokens, with one: OAUTHBEARER, then XOAUTH2.
#pragma once

#include <string>

#include "net/base/result.h"
#include "net/sasl/client_exchange.h"
#include "net/smtp/server_offer.h"

namespace sluice::relay {

// `wanted` is auth_mechanism of [[send]]. Errors: AuthFailed, in words that say what to change.
Result<sasl::ClientMechanism> chooseMechanism(const std::string& wanted,
                                              const smtp::ServerOffer& offer,
                                              bool by_token = false);

// Whether the secret is a token, which others renew in its file.
bool usesToken(sasl::ClientMechanism mechanism);

}  // namespace sluice::relay
