#include "net/sasl/server_exchange.h"

#include <gtest/gtest.h>

namespace sluice::sasl {
namespace {

using Next = ServerExchange::Next;

std::string b64(std::string_view bytes) { return net::base64Encode(bytes); }
std::string plain(std::string_view authzid, std::string_view user, std::string_view password) {
  std::string message(authzid);
  message.append(1, '\0').append(user).append(1, '\0').append(password);
  return b64(message);
}

TEST(ServerExchange, TakesPlainWithTheCommandOrBehindIt) {
  ServerExchange at_once(Mechanism::Plain, {});
  EXPECT_EQ(at_once.start(plain("", "ann", "secret")), Next::Password);
  EXPECT_EQ(at_once.user(), "ann");
  EXPECT_EQ(at_once.password(), "secret");
  ServerExchange asked(Mechanism::Plain, {});
  EXPECT_EQ(asked.start(std::nullopt), Next::Challenge);
  EXPECT_EQ(asked.challenge(), "");
  EXPECT_EQ(asked.onResponse(plain("ann", "ann", "secret")), Next::Password);
}

TEST(ServerExchange, LetsNobodyActAsAnother) {
  ServerExchange exchange(Mechanism::Plain, {});
  EXPECT_EQ(exchange.start(plain("boss", "ann", "secret")), Next::WrongProof);
}

TEST(ServerExchange, RefusesPlainThatIsNone) {
  const std::string long_name(256, 'a');
  for (const std::string& line :
       {std::string("A"), std::string("AB"), std::string("ABC"), std::string("ABCDE"),
        std::string("="), std::string("===="), b64("ann"), b64(std::string("\0ann", 4)),
        b64(std::string("\0ann\0secret\0", 12)), b64(std::string("\0\0\0\0", 4)),
        plain("", "", "secret"), plain("", "ann", ""), plain("", "a\nb", "secret"),
        plain("", "ann", "se\x07"), plain("", long_name, "secret"),
        plain("", "ann", std::string(5000, 'p')), std::string("AGFubgBzZWNyZXQ ")}) {
    ServerExchange exchange(Mechanism::Plain, {});
    EXPECT_EQ(exchange.start(line), Next::Malformed) << line;
  }
}

TEST(ServerExchange, AsksForLoginsTwoAnswers) {
  ServerExchange exchange(Mechanism::Login, {});
  EXPECT_EQ(exchange.start(std::nullopt), Next::Challenge);
  EXPECT_EQ(exchange.challenge(), "VXNlcm5hbWU6");
  EXPECT_EQ(exchange.onResponse(b64("ann")), Next::Challenge);
  EXPECT_EQ(exchange.challenge(), "UGFzc3dvcmQ6");
  EXPECT_EQ(exchange.onResponse(b64("secret")), Next::Password);
  EXPECT_EQ(exchange.user(), "ann");
  EXPECT_EQ(exchange.password(), "secret");
}

TEST(ServerExchange, TakesLoginsUserWithTheCommand) {
  ServerExchange exchange(Mechanism::Login, {});
  EXPECT_EQ(exchange.start(b64("ann")), Next::Challenge);
  EXPECT_EQ(exchange.challenge(), "UGFzc3dvcmQ6");
  EXPECT_EQ(exchange.onResponse(""), Next::Malformed);
}

TEST(ServerExchange, IsCancelledByAStarAtEachStep) {
  ServerExchange exchange(Mechanism::Login, {});
  EXPECT_EQ(exchange.start("*"), Next::Cancelled);
  EXPECT_EQ(exchange.start(b64("ann")), Next::Challenge);
  EXPECT_EQ(exchange.onResponse("*"), Next::Cancelled);
}

TEST(ServerExchange, CarriesScramToItsEnd) {
  const auto keys = deriveScramKeys("pencil", "salt", 4096).value();
  ScramClient client("user", {}, "client");
  ServerExchange server(Mechanism::ScramSha256, {}, "server");
  EXPECT_EQ(server.start(b64(client.first())), Next::Verifier);
  EXPECT_EQ(server.user(), "user");
  EXPECT_EQ(server.onVerifier(scramVerifier(keys, "salt", 4096)), Next::Challenge);
  ASSERT_TRUE(client.onServerFirst(net::base64Decode(server.challenge()).value()).has_value());
  EXPECT_EQ(server.onResponse(b64(client.final(keys))), Next::Challenge);
  EXPECT_TRUE(client.onServerFinal(net::base64Decode(server.challenge()).value()).has_value());
  EXPECT_EQ(server.onResponse(""), Next::Accepted);
}

TEST(ServerExchange, SeesAWrongScramProof) {
  ScramClient client("user", {}, "client");
  ServerExchange server(Mechanism::ScramSha256, {}, "server");
  EXPECT_EQ(server.start(b64(client.first())), Next::Verifier);
  server.onVerifier(scramVerifier(deriveScramKeys("right", "salt", 4096).value(), "salt", 4096));
  ASSERT_TRUE(client.onServerFirst(net::base64Decode(server.challenge()).value()).has_value());
  const auto wrong = deriveScramKeys("wrong", "salt", 4096).value();
  EXPECT_EQ(server.onResponse(b64(client.final(wrong))), Next::WrongProof);
}

TEST(Mechanism, IsReadInAnyCase) {
  EXPECT_EQ(mechanismOf("scram-Sha-256"), Mechanism::ScramSha256);
  EXPECT_EQ(mechanismOf("PLAIN"), Mechanism::Plain);
  EXPECT_EQ(mechanismOf("CRAM-MD5"), std::nullopt);
}

}  // namespace
}  // namespace sluice::sasl
