// The record that is to be published, and records as they are found.
#include "relay/sign/dkim_record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <regex>

namespace sluice::relay {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

const net::SigningKey& rsa() {
  static const auto key = *net::SigningKey::makeRsa(2048);
  return *key;
}
const net::SigningKey& ed25519() {
  static const auto key = *net::SigningKey::makeEd25519();
  return *key;
}

std::string why(const std::string& record, const net::SigningKey& key = ed25519()) {
  return whyRecordsDoNotFit({record}, key);
}

TEST(DkimRecord, FitsTheKeyItWasMadeOf) {
  EXPECT_EQ(why(dkimRecord(rsa()), rsa()), "");
  EXPECT_EQ(why(dkimRecord(ed25519())), "");
  EXPECT_THAT(dkimRecord(ed25519()), StartsWith("v=DKIM1; k=ed25519; p="));
  EXPECT_EQ(dkimRecordName("example.com", "s1"), "s1._domainkey.example.com");
}

TEST(DkimRecord, IsCutIntoStringsThatAZoneFileTakes) {
  const std::string line = dkimZoneLine("s1._domainkey.example.com", dkimRecord(rsa()));
  EXPECT_THAT(line, StartsWith("s1._domainkey.example.com. IN TXT ( \"v=DKIM1; k=rsa; p="));
  const std::regex quoted("\"([^\"]*)\"");
  std::string joined;
  size_t strings = 0;
  for (std::sregex_iterator at(line.begin(), line.end(), quoted), end; at != end; ++at, ++strings) {
    EXPECT_LE((*at)[1].length(), 255);
    joined += (*at)[1];
  }
  EXPECT_EQ(strings, 2u);
  EXPECT_EQ(joined, dkimRecord(rsa()));
}

TEST(DkimRecord, FitsHoweverItIsWritten) {
  const std::string key = net::base64Encode(ed25519().publicKey());
  EXPECT_EQ(why("k=ed25519;p=" + key), "");
  EXPECT_EQ(why(" v = DKIM1 ;\tk=ed25519 ; t=y; n=a note; h=sha1:sha256; s=email; p=" +
                key.substr(0, 5) + " \r\n " + key.substr(5) + " ; "),
            "");
}

TEST(DkimRecord, SaysWhyItDoesNotFit) {
  const std::string key = net::base64Encode(ed25519().publicKey());
  EXPECT_THAT(whyRecordsDoNotFit({}, rsa()), HasSubstr("no TXT record"));
  EXPECT_THAT(whyRecordsDoNotFit({"a=b", "c=d"}, rsa()), HasSubstr("several"));
  EXPECT_THAT(why("hello"), HasSubstr("no list of tags"));
  EXPECT_THAT(why("p=a; p=b"), HasSubstr("no list of tags"));
  EXPECT_THAT(why("v=spf1; p=" + key), HasSubstr("no DKIM record"));
  EXPECT_THAT(why("p=" + key), HasSubstr("k=rsa"));
  EXPECT_THAT(why("k=ed25519; h=sha1; p=" + key), HasSubstr("sha256"));
  EXPECT_THAT(why("k=ed25519; s=other; p=" + key), HasSubstr("mail"));
  EXPECT_THAT(why("k=ed25519; p="), HasSubstr("revokes"));
  EXPECT_THAT(why("k=ed25519; p=" + std::string(key.rbegin(), key.rend())),
              HasSubstr("another key"));
}

}  // namespace
}  // namespace sluice::relay
