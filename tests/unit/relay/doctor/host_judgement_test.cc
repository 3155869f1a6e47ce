#include "relay/doctor/host_judgement.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sluice::relay {
namespace {

using testing::HasSubstr;
using Stage = ProbeResult::Stage;

class HostJudged : public testing::Test {
 protected:
  HostJudged() {
    target.host = "mx.a.test";
    target.demand = {.when = TlsDemand::When::IfOffered, .may_fall_back = true};
    result.reached = Stage::Done;
    result.greeting = "mx.a.test";
    result.tls_version = "TLSv1.3";
    const WallTime now = Clock::system().wall();
    result.certificate = net::ShownCertificate{
        {{"mx.a.test"}, "CA", now - std::chrono::days(1), now + std::chrono::days(30)}, true, {}};
  }
  Finding judged(bool alternatives = false) {
    Findings findings;
    judgeHost("destination", target, result, {"mx.a.test", alternatives}, findings);
    EXPECT_EQ(findings.all().size(), 1u);
    return findings.all().empty() ? Finding{} : findings.all().front();
  }
  ProbeTarget target;
  ProbeResult result;
};

TEST_F(HostJudged, AGoodHostIsSaidToBeGood) {
  EXPECT_EQ(judged().severity, Severity::Ok);
  EXPECT_THAT(judged().text, HasSubstr("TLSv1.3"));
}

TEST_F(HostJudged, AWrongCertificateMattersOnlyWhereItIsDemanded) {
  result.certificate->facts.ends = Clock::system().wall() - std::chrono::days(3);
  EXPECT_EQ(judged().severity, Severity::Note);
  target.demand = {.when = TlsDemand::When::Always, .verify = true};
  EXPECT_EQ(judged().severity, Severity::Error);
  EXPECT_THAT(judged().text, HasSubstr("expired 3 days ago"));
  result.certificate->facts.ends = Clock::system().wall() + std::chrono::days(30);
  result.certificate->serves_host = false;
  EXPECT_THAT(judged().text, HasSubstr("not for mx.a.test"));
  result.certificate->serves_host = true;
  result.certificate->chain_problem = "self signed certificate";
  EXPECT_THAT(judged().text, HasSubstr("self signed"));
}

TEST_F(HostJudged, AHostThatFailsIsLessBadWhileAnotherTakesMail) {
  result.reached = Stage::Connect;
  result.failure = Error{Errc::Timeout, "no answer to connect"};
  EXPECT_EQ(judged(false).severity, Severity::Error);
  EXPECT_EQ(judged(true).severity, Severity::Warning);
}

TEST_F(HostJudged, ARefusalIsQuotedAsItWasGiven) {
  result.reached = Stage::Greeting;
  result.failure = Error{Errc::Refused, "554 5.7.1 listed at blocklist.test"};
  result.refusal = smtp::Reply{554, std::nullopt, "5.7.1 listed at blocklist.test"};
  EXPECT_THAT(judged().text, HasSubstr("listed at blocklist.test"));
}

TEST_F(HostJudged, AHandshakeThatFailsMattersOnlyWhereThereIsNoFallingBack) {
  result.reached = Stage::Tls;
  result.failure = Error{Errc::TlsFailed, "unsupported protocol"};
  EXPECT_EQ(judged().severity, Severity::Note);
  target.demand = {.when = TlsDemand::When::Always};
  EXPECT_EQ(judged().severity, Severity::Error);
}

TEST_F(HostJudged, CredentialsThatAreNotTakenAreAnErrorWithTheProvidersAdvice) {
  SendConfig connector;
  connector.name = "out";
  connector.username = "relay@a.test";
  target.credentials = &connector;
  result.reached = Stage::Auth;
  result.failure = Error{Errc::AuthFailed, "535 5.7.8 no"};
  result.refusal = smtp::Reply{535, smtp::EnhancedStatusCode{5, 7, 8}, "5.7.8 no"};
  EXPECT_EQ(judged(true).severity, Severity::Error);
  EXPECT_EQ(judged().check, "log-in");
  EXPECT_THAT(judged().text, HasSubstr("relay@a.test"));
  EXPECT_NE(judged().fix, "");
}

TEST_F(HostJudged, WhoHasTheNameOrTheCertificateGreetsAsItself) {
  EXPECT_TRUE(greetsAsItself(target, result));
  result.greeting = "other.example";
  EXPECT_TRUE(greetsAsItself(target, result));  // its certificate is for the name
  result.certificate.reset();
  EXPECT_FALSE(greetsAsItself(target, result));
  result.offer.name = "out7.a.test";
  EXPECT_TRUE(greetsAsItself(target, result));
}

}  // namespace
}  // namespace sluice::relay
