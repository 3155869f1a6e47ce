#include "net/sasl/scram_sha_256.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "net/sasl/oauth.h"

namespace sluice::sasl {
namespace {

// RFC 7677 section 3.
constexpr const char* kClientNonce = "rOprNGfwEbeRWgbNEkqO";
constexpr const char* kServerNonce = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
constexpr const char* kClientFirst = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
constexpr const char* kServerFirst =
    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
constexpr const char* kClientFinal =
    "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
    "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
constexpr const char* kServerFinal = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

std::string rfcSalt() { return net::base64Decode("W22ZaJ0SNY7soEsUEjb6gQ==").value(); }

ScramKeys rfcKeys() { return deriveScramKeys("pencil", rfcSalt(), 4096).value(); }

ScramServer serverAfterChallenge(ScramBinding binding = {},
                                 const std::string& client_first = kClientFirst) {
  ScramServer server(std::move(binding), kServerNonce);
  EXPECT_EQ(server.onClientFirst(client_first).value(), "user");
  server.challenge(scramVerifier(rfcKeys(), rfcSalt(), 4096));
  return server;
}

TEST(ScramServer, SpeaksAsTheStandardsExample) {
  ScramServer server({}, kServerNonce);
  EXPECT_EQ(server.onClientFirst(kClientFirst).value(), "user");
  EXPECT_EQ(server.challenge(scramVerifier(rfcKeys(), rfcSalt(), 4096)), kServerFirst);
  EXPECT_EQ(server.onClientFinal(kClientFinal).value(), kServerFinal);
}

TEST(ScramClient, SpeaksAsTheStandardsExample) {
  ScramClient client("user", {}, kClientNonce);
  EXPECT_EQ(client.first(), kClientFirst);
  ASSERT_TRUE(client.onServerFirst(kServerFirst).has_value());
  EXPECT_EQ(client.iterations(), 4096u);
  EXPECT_EQ(client.salt(), rfcSalt());
  EXPECT_EQ(client.final(rfcKeys()), kClientFinal);
  EXPECT_TRUE(client.onServerFinal(kServerFinal).has_value());
}

TEST(ScramServer, RefusesAWrongProof) {
  auto server = serverAfterChallenge();
  std::string wrong = kClientFinal;
  wrong[wrong.find("p=") + 2] = 'e';
  EXPECT_EQ(server.onClientFinal(wrong).error().code, Errc::Refused);
}

TEST(ScramServer, RefusesAnotherNonceOrHeader) {
  for (const auto& [what, with] :
       {std::pair("NGfw", "NGfx"), std::pair("c=biws", "c=eSws")}) {  // "y,,"
    auto server = serverAfterChallenge();
    std::string other = kClientFinal;
    other.replace(other.find(what), std::string(what).size(), with);
    EXPECT_EQ(server.onClientFinal(other).error().code, Errc::Refused) << what;
  }
}

TEST(ScramServer, RefusesWhatIsNoMessage) {
  for (const char* message :
       {"", "n", "n,", "n,,", "n,,n=user", "n,,r=abc", "n,,n=,r=abc", "n,,n=user,r=",
        "n,,n=us=er,r=abc", "n,,m=ext,n=user,r=abc", "x,,n=user,r=abc", "n,b=x,n=user,r=abc",
        "p=tls-exporter,,n=user,r=abc", "n,,n=user,r=a b", "n,,n=u\x01,r=abc"}) {
    EXPECT_EQ(ScramServer({}, "x").onClientFirst(message).error().code, Errc::Malformed) << message;
  }
  for (const char* message : {"", "c=biws", "c=biws,r=x", "c=biws,r=x,p=", "c=biws,r=x,p=YQ==",
                              "c=*,r=x,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="}) {
    auto server = serverAfterChallenge();
    EXPECT_EQ(server.onClientFinal(message).error().code, Errc::Malformed) << message;
  }
}

TEST(ScramServer, ReadsEscapedNamesAndLetsNobodyActAsAnother) {
  EXPECT_EQ(ScramServer({}, "x").onClientFirst("n,,n=a=2Cb=3Dc,r=abc").value(), "a,b=c");
  EXPECT_EQ(ScramServer({}, "x").onClientFirst("n,a=user,n=user,r=abc").value(), "user");
  EXPECT_EQ(ScramServer({}, "x").onClientFirst("n,a=boss,n=user,r=abc").error().code,
            Errc::Refused);
}

TEST(ScramPlus, BindsToTheConnection) {
  const ScramBinding here{true, true, std::string(32, 'e')};
  ScramClient client("user", here, kClientNonce);
  ScramServer server(here, kServerNonce);
  EXPECT_EQ(server.onClientFirst(client.first()).value(), "user");
  ASSERT_TRUE(client.onServerFirst(server.challenge(scramVerifier(rfcKeys(), rfcSalt(), 4096)))
                  .has_value());
  EXPECT_TRUE(client.onServerFinal(server.onClientFinal(client.final(rfcKeys())).value()));
}

TEST(ScramPlus, RefusesAnExchangeThatWasPassedOn) {
  ScramClient client("user", {true, true, std::string(32, 'e')}, kClientNonce);
  ScramServer server({true, true, std::string(32, 'f')}, kServerNonce);
  EXPECT_EQ(server.onClientFirst(client.first()).value(), "user");
  ASSERT_TRUE(client.onServerFirst(server.challenge(scramVerifier(rfcKeys(), rfcSalt(), 4096)))
                  .has_value());
  EXPECT_EQ(server.onClientFinal(client.final(rfcKeys())).error().code, Errc::Refused);
}

TEST(ScramPlus, RefusesAClientFromWhomItWasHidden) {
  ScramServer server({false, true, std::string(32, 'e')}, kServerNonce);
  EXPECT_EQ(server.onClientFirst("y,,n=user,r=abc").error().code, Errc::Refused);
}

TEST(ScramClient, RefusesAServerThatCheats) {
  const std::string salt = "s=W22ZaJ0SNY7soEsUEjb6gQ==";
  for (const std::string& message :
       {"r=stranger," + salt + ",i=4096", std::string("r=") + kClientNonce + "," + salt + ",i=4096",
        std::string("r=") + kClientNonce + "x," + salt + ",i=1",
        std::string("r=") + kClientNonce + "x," + salt + ",i=4000000000",
        std::string("r=") + kClientNonce + "x," + salt + ",i=4096x",
        std::string("r=") + kClientNonce + "x,s=*,i=4096",
        std::string("m=x,r=") + kClientNonce + "x," + salt + ",i=4096", std::string("e=other")}) {
    ScramClient client("user", {}, kClientNonce);
    client.first();
    EXPECT_FALSE(client.onServerFirst(message).has_value()) << message;
  }
  ScramClient client("user", {}, kClientNonce);
  client.first();
  ASSERT_TRUE(client.onServerFirst(kServerFirst).has_value());
  client.final(rfcKeys());
  for (const char* message :
       {"", "v=", "e=invalid-proof", "v=AAAA", "v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="}) {
    EXPECT_FALSE(client.onServerFinal(message).has_value()) << message;
  }
}

TEST(ScramNonce, IsFreshAndPrintable) {
  EXPECT_NE(freshScramNonce(), freshScramNonce());
  EXPECT_EQ(freshScramNonce().size(), 24u);
}

TEST(SaslName, IsWrittenSoThatNoNameCanAddToTheMessage) {
  EXPECT_EQ(writeSaslName("a,b=c"), "a=2Cb=3Dc");
  EXPECT_THAT(writeOAuthBearer("x,y", "smtp.test", 587, "t"), testing::StartsWith("n,a=x=2Cy,"));
}

}  // namespace
}  // namespace sluice::sasl
