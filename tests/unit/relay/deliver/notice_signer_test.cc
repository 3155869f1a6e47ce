// Notices and their signatures: who signs, what waits, and what happens when the relay ends first.
#include "relay/deliver/notice_signer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/relay/accept/accept_fakes.h"

namespace sluice::relay {
namespace {

using testing::StartsWith;

class Notices : public testing::Test {
 protected:
  void useKeys(std::vector<std::shared_ptr<const net::SigningKey>> keys) {
    std::vector<DkimConfig> entries;
    for (auto& key : keys) {
      entries.push_back({"relay.test", "s" + std::to_string(entries.size()), "", key});
    }
    context.dkim = DkimKeys::from(entries);
    context.signing = &pool;
  }
  static NoticeSigner::Notices two() {
    NoticeSigner::Notices notices(2);
    notices[0].content.append("From: <postmaster@relay.test>\r\n\r\nfirst\r\n");
    notices[1].content.append("From: <postmaster@relay.test>\r\n\r\nsecond\r\n");
    return notices;
  }
  void sign() {
    signer->sign(two(), [this](NoticeSigner::Notices ready) {
      ASSERT_EQ(ready.size(), 2u);
      for (const auto& notice : ready) fields.push_back(notice.envelope.front_fields);
    });
  }

  std::unique_ptr<net::Loop> loop = std::move(net::Loop::create().value());
  SigningPool pool{1};
  FakeQueue queue;
  FakeLog log;
  std::unique_ptr<net::Resolver> resolver = std::move(
      net::Resolver::create(*loop, {.servers = {*Endpoint::parse("127.0.0.1:9")}}).value());
  BudgetRegistry budgets;
  DeliveryMetrics metrics;
  std::map<std::string, std::unique_ptr<ConnectorMetrics>> connectors;
  DeliveryContext context{*loop, queue, *resolver, log, budgets, metrics, connectors};
  std::unique_ptr<NoticeSigner> signer = std::make_unique<NoticeSigner>(context);
  std::vector<std::string> fields;  // of the notices, once they are ready
};

TEST_F(Notices, AreReadyAtOnceWithoutKeys) {
  sign();
  EXPECT_EQ(fields, (std::vector<std::string>{"", ""}));
}

TEST_F(Notices, GetEveryKeysSignatureOfTheirOwn) {
  useKeys({*net::SigningKey::makeEd25519(), *net::SigningKey::makeEd25519()});
  sign();
  ASSERT_EQ(fields.size(), 2u);
  EXPECT_NE(fields[0], fields[1]);
  for (const std::string& both : fields) {
    EXPECT_THAT(both, StartsWith("DKIM-Signature: "));
    const size_t second = both.find("DKIM-Signature: ", 1);
    ASSERT_NE(second, std::string::npos);
    EXPECT_LT(both.find("s=s0;"), second);
    EXPECT_GT(both.find("s=s1;"), second);
  }
}

TEST_F(Notices, WaitForASlowSignature) {
  useKeys({*net::SigningKey::makeRsa(2048)});
  sign();
  EXPECT_TRUE(fields.empty());
  ASSERT_TRUE(turnUntil(*loop, [&] { return !fields.empty(); }));
  EXPECT_THAT(fields[0], StartsWith("DKIM-Signature: "));
}

// What a notice reports has happened: it must be written down before the relay ends.
TEST_F(Notices, AreSignedOnTheSpotWhenTheRelayEnds) {
  useKeys({*net::SigningKey::makeRsa(2048)});
  sign();
  signer.reset();
  ASSERT_EQ(fields.size(), 2u);
  EXPECT_THAT(fields[0], StartsWith("DKIM-Signature: "));
  pool.stop();
  turn(*loop);
  EXPECT_EQ(fields.size(), 2u);
}

}  // namespace
}  // namespace sluice::relay
