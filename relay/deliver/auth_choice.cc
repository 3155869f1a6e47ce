#include "relay/deliver/auth_choice.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

namespace sluice::relay {
namespace {

using sasl::ClientMechanism;

struct Name {
  std::string_view word;  // of the configuration
  ClientMechanism mechanism;
};

constexpr std::array<Name, 5> kNames{{{"scram-sha-256", ClientMechanism::ScramSha256},
                                      {"plain", ClientMechanism::Plain},
                                      {"login", ClientMechanism::Login},
                                      {"oauthbearer", ClientMechanism::OAuthBearer},
                                      {"xoauth2", ClientMechanism::XOAuth2}}};

}  // namespace

bool usesToken(ClientMechanism mechanism) {
  return mechanism == ClientMechanism::XOAuth2 || mechanism == ClientMechanism::OAuthBearer;
}

Result<ClientMechanism> chooseMechanism(const std::string& wanted, const smtp::ServerOffer& offer,
                                        bool by_token) {
  if (offer.auth.empty()) {
    return fail(Errc::AuthFailed, "offers no AUTH (leave out username, or see its port)");
  }
  const auto offers = [&](ClientMechanism mechanism) {
    return std::find(offer.auth.begin(), offer.auth.end(), nameOf(mechanism)) != offer.auth.end();
  };
  for (const Name& name : kNames) {
    const bool fits =
        wanted == "auto" ? usesToken(name.mechanism) == by_token : name.word == wanted;
    if (fits && offers(name.mechanism)) return name.mechanism;
  }
  return fail(Errc::AuthFailed,
              fmt::format("offers AUTH {}, which auth_mechanism = \"{}\" does not use",
                          fmt::join(offer.auth, " "), wanted));
}

}  // namespace sluice::relay
