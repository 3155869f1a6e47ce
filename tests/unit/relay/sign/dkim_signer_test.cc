// Whole messages that stream by: which keys sign, what a signature covers, how it is written.
#include "relay/sign/dkim_signer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "relay/sign/signing_pool.h"

namespace sluice::relay {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::StartsWith;

constexpr std::string_view kMessage =
    "From: Joe <joe@example.com>\r\nTo: Ann <ann@example.net>\r\nSubject: x\r\n\r\nbody\r\n";

std::shared_ptr<const DkimKeys> keysOf(const std::vector<std::string>& domains) {
  static const auto key = *net::SigningKey::makeEd25519();
  std::vector<DkimConfig> entries;
  for (const std::string& domain : domains) {
    entries.push_back({domain, "s" + std::to_string(entries.size()), "", key});
  }
  return DkimKeys::from(entries);
}

std::vector<DkimDraft> draftsOf(std::string_view content, std::shared_ptr<const DkimKeys> keys) {
  DkimSigner signer(std::move(keys));
  signer.append(content);
  return signer.finish(WallTime(std::chrono::seconds(1'700'000'000)));
}

// The names behind h=, unfolded.
std::string namesIn(std::string_view content) {
  const auto drafts = draftsOf(content, keysOf({"example.com"}));
  if (drafts.empty()) return "not signed";
  const std::string& field = drafts[0].field;
  std::string names;
  for (const char c :
       field.substr(field.find("h=") + 2, field.find("bh=") - field.find("h=") - 2)) {
    if (c > ' ' && c != ';') names += c;
  }
  return names;
}

std::vector<std::string> signersOf(const std::string& from,
                                   const std::vector<std::string>& domains) {
  std::vector<std::string> out;
  for (const DkimDraft& draft : draftsOf("From: " + from + "\r\n\r\n", keysOf(domains))) {
    const size_t d = draft.field.find("d=") + 2;
    const size_t s = draft.field.find("s=") + 2;
    out.push_back(draft.field.substr(s, 2) + "/" +
                  draft.field.substr(d, draft.field.find(';', d) - d));
  }
  return out;
}

TEST(DkimSigner, CoversMoreFromsThanThereAre) {
  EXPECT_EQ(namesIn(kMessage), "from:from:reply-to:to:to:cc:subject:subject");
  EXPECT_EQ(namesIn("From: a@example.com\r\nDate: x\r\nReceived: y\r\nList-Id: z\r\n\r\n"),
            "from:from:reply-to:to:cc:subject:date:date:list-id");
  EXPECT_EQ(namesIn("To: a\r\nTo: b\r\nFrom: a@example.com\r\nList-Id: c\r\nList-Id: d\r\n\r\n"),
            "from:from:reply-to:to:to:to:cc:subject:list-id:list-id");
}

TEST(DkimSigner, TakesFieldsOfOneNameFromTheBottomUp) {
  const auto digest = [](std::string_view content) {
    return draftsOf(content, keysOf({"example.com"})).at(0).digest;
  };
  EXPECT_NE(digest("To: a\r\nTo: b\r\nFrom: a@example.com\r\n\r\n"),
            digest("To: b\r\nTo: a\r\nFrom: a@example.com\r\n\r\n"));
  HeaderFields header;
  std::string_view content = "To: a\r\nTo: b\r\nFrom: x\r\n\r\n";
  header.feed(content);
  EXPECT_EQ(coverHeader(header).hash.digest(), net::sha256("from:x\r\nto:b\r\nto:a\r\n"));
}

TEST(DkimSigner, SignsForTheAuthorsDomainWithAllItsKeys) {
  EXPECT_THAT(signersOf("a@example.com", {"example.com", "example.org", "example.com"}),
              ElementsAre("s0/example.com", "s2/example.com"));
  EXPECT_THAT(signersOf("a@EXAMPLE.org", {"example.com", "example.org"}),
              ElementsAre("s1/example.org"));
  EXPECT_THAT(signersOf("a@example.net", {"example.com"}), IsEmpty());
}

TEST(DkimSigner, FallsBackToTheNearestDomainAbove) {
  EXPECT_THAT(signersOf("a@x.y.example.com", {"example.com", "y.example.com", "com"}),
              ElementsAre("s1/y.example.com"));
  EXPECT_THAT(signersOf("a@x.example.com", {"example.com", "y.example.com"}),
              ElementsAre("s0/example.com"));
  EXPECT_THAT(signersOf("a@notexample.com", {"example.com"}), IsEmpty());
  EXPECT_THAT(signersOf("a@com", {"example.com"}), IsEmpty());
}

TEST(DkimSigner, DoesNotSignWhatHasNoFromOrTwo) {
  EXPECT_EQ(namesIn("To: a\r\n\r\nFrom: a@example.com\r\n"), "not signed");
  EXPECT_EQ(namesIn("From: a@example.com\r\nFrom: b@example.com\r\n\r\n"), "not signed");
  EXPECT_EQ(namesIn(""), "not signed");
  EXPECT_EQ(namesIn("From: a@example.com\r\nSubject: " + std::string(300'000, 'x') + "\r\n\r\n"),
            "not signed");
}

TEST(DkimSigner, MakesTheSameOfAnySegmentation) {
  const auto keys = keysOf({"example.com"});
  const DkimDraft whole = draftsOf(kMessage, keys).at(0);
  for (size_t cut = 0; cut <= kMessage.size(); ++cut) {
    DkimSigner signer(keys);
    signer.append(kMessage.substr(0, cut));
    signer.append(kMessage.substr(cut));
    const auto drafts = signer.finish(WallTime(std::chrono::seconds(1'700'000'000)));
    ASSERT_EQ(drafts.size(), 1u);
    EXPECT_EQ(drafts[0].field, whole.field) << cut;
    EXPECT_EQ(drafts[0].digest, whole.digest) << cut;
  }
}

TEST(DkimSigner, WritesAFieldOfShortLinesThatIsHashedWithoutItsSignature) {
  const DkimDraft draft = draftsOf(kMessage, keysOf({"example.com"})).at(0);
  EXPECT_EQ(draft.field,
            "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n"
            "\td=example.com;\r\n"
            "\ts=s0; t=1700000000;\r\n"
            "\th=from:from:reply-to:to:to:cc:subject:subject;\r\n"
            "\tbh=Ck5SoRNWUpSR4X0COv7R5ub2pUTtl6xz4dTFz++ji4M=;\r\n"
            "\tb=");
  EXPECT_EQ(draft.digest,
            net::sha256("from:Joe <joe@example.com>\r\nto:Ann <ann@example.net>\r\nsubject:x\r\n"
                        "dkim-signature:v=1; a=ed25519-sha256; c=relaxed/relaxed; d=example.com; "
                        "s=s0; t=1700000000; h=from:from:reply-to:to:to:cc:subject:subject; "
                        "bh=Ck5SoRNWUpSR4X0COv7R5ub2pUTtl6xz4dTFz++ji4M=; b="));
  std::string all = "From: a@example.com\r\n";
  for (const CoveredField& field : HeaderFields::covered()) {
    if (field.name != "from") all += std::string(field.name) + ": x\r\n";
  }
  const std::string field = signAll(draftsOf(all + "\r\n", keysOf({"example.com"})))->at(0);
  for (size_t at = 0; at < field.size();) {
    const size_t end = field.find("\r\n", at);
    ASSERT_NE(end, std::string::npos);
    EXPECT_LE(end - at, 78u) << field.substr(at, end - at);
    EXPECT_EQ(field[at], at > 0 ? '\t' : 'D');
    at = end + 2;
  }
}

TEST(DkimSigner, LeavesTheTimeOutBefore1970) {
  DkimSigner signer(keysOf({"example.com"}));
  signer.append(kMessage);
  const auto drafts = signer.finish(WallTime(std::chrono::seconds(-1)));
  EXPECT_EQ(drafts.at(0).field.find("t="), std::string::npos);
}

// Whoever waits gets its own signature back on its loop, from whichever thread.
TEST(SigningPool, SignsOffTheLoopAndAnswersOnIt) {
  const auto loop = *net::Loop::create();
  SigningPool pool(2);
  const auto key = *net::SigningKey::makeRsa(2048);
  const auto draftOf = [&](const std::string& subject) {
    return draftsOf("From: a@example.com\r\nSubject: " + subject + "\r\n\r\n",
                    DkimKeys::from({{"example.com", "s", "", key}}));
  };
  size_t answers = 0;
  for (int i = 0; i < 20; ++i) {
    const auto drafts = draftOf(std::to_string(i));
    pool.sign(drafts, *loop, [&, drafts](const Result<std::vector<std::string>>& fields) {
      EXPECT_EQ(fields.value(), signAll(drafts).value());
      if (++answers == 20) loop->stop();
    });
  }
  EXPECT_EQ(answers, 0u);
  loop->run();
  EXPECT_EQ(answers, 20u);
}

TEST(SigningPool, SignsWithQuickKeysAtOnce) {
  const auto loop = *net::Loop::create();
  SigningPool pool(1);
  std::vector<std::string> fields;
  pool.sign(draftsOf(kMessage, keysOf({"example.com", "example.com"})), *loop,
            [&](Result<std::vector<std::string>> signed_fields) { fields = *signed_fields; });
  ASSERT_EQ(fields.size(), 2u);
  for (const std::string& field : fields) {
    EXPECT_THAT(field, StartsWith("DKIM-Signature: v=1; a=ed25519-sha256;"));
  }
}

}  // namespace
}  // namespace sluice::relay
