#include "net/tls/tls_identity.h"

#include <gmock/gmock.h>

#include "net/tls/tls_server_context.h"
#include "tests/unit/net/tls/tls_fakes.h"

namespace sluice::net {
namespace {

using testing::HasSubstr;

TEST(TlsCertificates, AreReadInTheirOrder) {
  const MadeCertificate authority("ca", "");
  const MadeCertificate leaf("leaf", "DNS:a.test", &authority, 1000);
  const auto chain = TlsCertificates::parse(leaf.pem() + authority.pem());
  ASSERT_TRUE(chain);
  ASSERT_EQ(chain->all().size(), 2u);
  EXPECT_TRUE(certificateServes(*chain->all()[0], "A.test"));
  EXPECT_FALSE(certificateServes(*chain->all()[1], "a.test"));
  const auto left = chain->expiry() - Clock::system().wall();
  EXPECT_GT(left, std::chrono::seconds(900));
  EXPECT_LE(left, std::chrono::seconds(1000));
}

TEST(TlsCertificates, SayWhatIsWrongWithAFile) {
  EXPECT_THAT(TlsCertificates::parse("").error().detail, HasSubstr("no PEM certificate"));
  EXPECT_THAT(TlsCertificates::parse("hello\n").error().detail, HasSubstr("no PEM certificate"));
  const std::string good = MadeCertificate("a", "").pem();
  std::string broken = good;
  broken.replace(100, 4, "!!!!");
  EXPECT_THAT(TlsCertificates::parse(broken).error().detail, HasSubstr("cannot read"));
  EXPECT_THAT(TlsCertificates::parse(good + broken).error().detail, HasSubstr("cannot read"));
  EXPECT_FALSE(TlsCertificates::parse(good.substr(0, good.size() / 2)));
}

TEST(TlsIdentity, WantsTheCertificatesOwnUnencryptedKey) {
  const MadeCertificate one("one", "DNS:one.test");
  const MadeCertificate two("two", "DNS:two.test");
  const auto with = [&](const std::string& key) {
    return TlsIdentity::of(*TlsCertificates::parse(one.pem()), key);
  };
  EXPECT_TRUE(with(one.keyPem()));
  EXPECT_THAT(with(two.keyPem()).error().detail, HasSubstr("is not the key"));
  EXPECT_THAT(with(one.pem()).error().detail, HasSubstr("no PEM private key"));
  EXPECT_THAT(with(one.encryptedKeyPem()).error().detail, HasSubstr("encrypted"));
}

TEST(TicketKeys, AreReplacedAndKeptForOnePeriod) {
  ManualClock clock;
  TicketKeys keys(clock);
  const TicketKey first = keys.current();
  EXPECT_EQ(keys.current().name, first.name);
  EXPECT_FALSE(keys.find(first.name)->renew);
  clock.advance(TicketKeys::kPeriod);
  const TicketKey second = keys.current();
  EXPECT_NE(second.name, first.name);
  EXPECT_TRUE(keys.find(first.name)->renew);
  EXPECT_FALSE(keys.find(second.name)->renew);
  clock.advance(TicketKeys::kPeriod);
  EXPECT_FALSE(keys.find(first.name));
}

TEST(TicketKeys, AreAllGoneAfterALongSleep) {
  ManualClock clock;
  TicketKeys keys(clock);
  const TicketKey first = keys.current();
  clock.advance(3 * TicketKeys::kPeriod);
  EXPECT_FALSE(keys.find(first.name));
}

}  // namespace
}  // namespace sluice::net
