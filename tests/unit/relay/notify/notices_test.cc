// The notices themselves, read back the way a mail program reads them.
#include "relay/notify/notices.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

namespace sluice::relay {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::SizeIs;
using testing::StartsWith;
using Action = RecipientReport::Action;

constexpr std::string_view kOriginal =
    "Received: from app by relay.example.com; Tue, 24 Nov 2026 08:00:00 +0000\r\n"
    "From: alice@example.com\r\n"
    "Subject: Lunch\r\n"
    "Message-ID: <1@example.com>\r\n"
    "\r\n"
    "Shall we?\r\n"
    ".dot\r\n";

// One entity: its header fields (unfolded) and its body.
struct Entity {
  std::vector<std::pair<std::string, std::string>> fields;
  std::string body;
  std::string operator[](const std::string& name) const {
    for (const auto& [key, value] : fields) {
      if (key == name) return value;
    }
    return "(none)";
  }
};

std::vector<std::pair<std::string, std::string>> readFields(std::string_view& text) {
  std::vector<std::pair<std::string, std::string>> fields;
  while (!text.empty()) {
    const size_t end = text.find("\r\n");
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 2);
    if (line.empty()) break;
    if (line[0] == ' ' && !fields.empty()) {
      fields.back().second += line;
      continue;
    }
    const size_t colon = line.find(':');
    EXPECT_NE(colon, std::string_view::npos) << line;
    if (colon == std::string_view::npos) continue;
    fields.emplace_back(line.substr(0, colon), line.substr(std::min(colon + 2, line.size())));
  }
  return fields;
}

Entity readEntity(std::string_view text) {
  Entity entity;
  entity.fields = readFields(text);
  entity.body = text;
  return entity;
}

// What every notice must be, whatever it is about. Gives its parts.
struct Report {
  queue::NewMessage message;
  std::string bytes;
  Entity top;
  std::vector<Entity> parts;
  std::vector<std::vector<std::pair<std::string, std::string>>> status;  // groups of fields
  std::string statusField(size_t group, const std::string& name) const {
    return Entity{status.at(group), ""}[name];
  }
};

void expectCleanLines(const std::string& bytes) {
  ASSERT_THAT(bytes, EndsWith("\r\n"));
  for (size_t at = 0; at < bytes.size();) {
    const size_t end = bytes.find("\r\n", at);
    ASSERT_NE(end, std::string::npos);
    ASSERT_LE(end - at, 998u);
    const std::string_view line(bytes.data() + at, end - at);
    ASSERT_EQ(line.find_first_of(std::string_view("\r\n\0", 3)), std::string_view::npos) << line;
    at = end + 2;
  }
}

std::vector<Entity> splitParts(const Entity& top) {
  const std::string type = top["Content-Type"];
  const size_t start = type.find("boundary=\"") + 10;
  const std::string boundary = "\r\n--" + type.substr(start, type.find('"', start) - start);
  std::vector<Entity> parts;
  const std::string body = "\r\n" + top.body;
  size_t at = body.find(boundary);
  EXPECT_NE(at, std::string::npos);
  while (at != std::string::npos) {
    const size_t begin = at + boundary.size();
    if (body.compare(begin, 4, "--\r\n") == 0) return parts;
    const size_t next = body.find(boundary, begin);
    EXPECT_EQ(body.compare(begin, 2, "\r\n"), 0);
    EXPECT_NE(next, std::string::npos) << "no closing boundary";
    parts.push_back(readEntity(std::string_view(body).substr(begin + 2, next - begin - 2)));
    at = next;
  }
  ADD_FAILURE() << "no end";
  return parts;
}

Report read(queue::NewMessage message) {
  Report report;
  report.bytes = message.content.flatten();
  report.message = std::move(message);
  EXPECT_LE(report.bytes.size(), 64u * 1024);
  expectCleanLines(report.bytes);
  report.top = readEntity(report.bytes);
  EXPECT_THAT(report.top["Content-Type"], StartsWith("multipart/report; report-type="));
  report.parts = splitParts(report.top);
  EXPECT_THAT(report.parts, SizeIs(3));
  if (report.parts.size() == 3) {
    std::string_view status = report.parts[1].body;
    while (!status.empty()) report.status.push_back(readFields(status));
  }
  const bool eight_bit = report.top["Content-Transfer-Encoding"] == "8bit";
  const auto high = [](char c) { return (c & 0x80) != 0; };
  EXPECT_EQ(eight_bit, std::any_of(report.bytes.begin(), report.bytes.end(), high));
  EXPECT_EQ(eight_bit, report.message.envelope.body == queue::BodyType::EightBitMime);
  return report;
}

class Notices : public testing::Test {
 protected:
  Notices() {
    settings_.hostname = "relay.example.com";
    settings_.postmaster = "postmaster@example.com";
    settings_.lifetime = std::chrono::hours(96);
    envelope_.reverse_path = "alice@example.com";
    envelope_.received_at = now_ - std::chrono::hours(5);
    addRecipient("bob@example.net");
  }

  void addRecipient(std::string path, std::string orcpt = "") {
    envelope_.recipients.push_back({std::move(path), {}, std::move(orcpt)});
    RecipientReport report;
    report.recipient = static_cast<uint16_t>(reports_.size());
    report.status = "5.1.1";
    report.remote_mta = "mx.example.net";
    report.remote_address = "192.0.2.1";
    report.diagnostic = "550 5.1.1 no such user";
    report.last_attempt = now_;
    reports_.push_back(report);
  }

  Report make(NoticeKind kind = NoticeKind::Failure, bool complete = true) {
    return read(makeNotice(kind, settings_, queue::MessageId(), envelope_, original_, complete,
                           reports_, now_, "unique-1"));
  }

  const WallTime now_{std::chrono::seconds(1'795'507'292)};  // Tue, 24 Nov 2026 08:01:32
  NoticeSettings settings_;
  queue::Envelope envelope_;
  std::vector<RecipientReport> reports_;
  std::string original_{kOriginal};
};

TEST_F(Notices, SaysInPlainWordsWhatHappenedToWhomAndWhatToDo) {
  const std::string text = make().parts.at(0).body;
  EXPECT_THAT(text, HasSubstr("could not be delivered to the recipient below"));
  EXPECT_THAT(text, HasSubstr("<bob@example.net>"));
  EXPECT_THAT(text, HasSubstr("There is no such mailbox"));
  EXPECT_THAT(text, HasSubstr("Check the address"));
  EXPECT_THAT(text, HasSubstr("The server mx.example.net [192.0.2.1] said:\r\n"
                              "      550 5.1.1 no such user\r\n"));
  EXPECT_THAT(text, HasSubstr("Lunch"));
}

TEST_F(Notices, GoesFromNobodyToTheSenderAndCannotBeAnswered) {
  const Report report = make();
  EXPECT_EQ(report.message.envelope.reverse_path, "");
  ASSERT_THAT(report.message.envelope.recipients, SizeIs(1));
  EXPECT_EQ(report.message.envelope.recipients[0].forward_path, "alice@example.com");
  EXPECT_TRUE(report.message.groups.empty());
  EXPECT_EQ(report.message.envelope.content_bytes, report.bytes.size());
  EXPECT_EQ(report.top["From"], "\"Mail Delivery System\" <postmaster@example.com>");
  EXPECT_EQ(report.top["To"], "<alice@example.com>");
  EXPECT_EQ(report.top["Auto-Submitted"], "auto-replied");
  EXPECT_EQ(report.top["MIME-Version"], "1.0");
  EXPECT_EQ(report.top["Message-ID"], "<unique-1@relay.example.com>");
  EXPECT_EQ(report.top["In-Reply-To"], "<1@example.com>");
  EXPECT_EQ(report.top["References"], "<1@example.com>");
  EXPECT_EQ(report.top["Date"], formatRfc5322(now_));
}

TEST_F(Notices, ReportsEachRecipientToMachines) {
  envelope_.envid = "QQ+2B314";
  addRecipient("carol@example.net", "rfc822;carol+2Bnews@example.org");
  reports_[1].diagnostic = "no route";
  reports_[1].diagnostic_is_smtp = false;
  reports_[1].remote_mta = "";
  const Report report = make();
  EXPECT_EQ(report.parts[1]["Content-Type"], "message/delivery-status");
  ASSERT_THAT(report.status, SizeIs(3));
  EXPECT_EQ(report.statusField(0, "Reporting-MTA"), "dns; relay.example.com");
  EXPECT_EQ(report.statusField(0, "Original-Envelope-Id"), "QQ+314");
  EXPECT_EQ(report.statusField(0, "X-Sluice-Queue-Id"), queue::MessageId().toString());
  EXPECT_EQ(report.statusField(0, "Arrival-Date"), formatRfc5322(envelope_.received_at));
  EXPECT_EQ(report.statusField(1, "Final-Recipient"), "rfc822; bob@example.net");
  EXPECT_EQ(report.statusField(1, "Action"), "failed");
  EXPECT_EQ(report.statusField(1, "Status"), "5.1.1");
  EXPECT_EQ(report.statusField(1, "Remote-MTA"), "dns; mx.example.net");
  EXPECT_EQ(report.statusField(1, "Diagnostic-Code"), "smtp; 550 5.1.1 no such user");
  EXPECT_EQ(report.statusField(1, "Last-Attempt-Date"), formatRfc5322(now_));
  EXPECT_EQ(report.statusField(1, "Original-Recipient"), "(none)");
  EXPECT_EQ(report.statusField(2, "Original-Recipient"), "rfc822; carol+news@example.org");
  EXPECT_EQ(report.statusField(2, "Remote-MTA"), "(none)");
  EXPECT_EQ(report.statusField(2, "Diagnostic-Code"), "X-Sluice; no route");
}

TEST_F(Notices, ReturnsTheWholeMessageUnlessTheSenderWantsLess) {
  EXPECT_EQ(make().parts[2]["Content-Type"], "message/rfc822");
  EXPECT_EQ(make().parts[2].body, kOriginal);
  envelope_.ret = queue::Ret::Full;
  EXPECT_EQ(make().parts[2].body, kOriginal);
  envelope_.ret = queue::Ret::Headers;
  const Report report = make();
  EXPECT_EQ(report.parts[2]["Content-Type"], "text/rfc822-headers");
  EXPECT_EQ(report.parts[2].body, kOriginal.substr(0, kOriginal.find("\r\n\r\n") + 2));
}

// RFC 8689 section 5: the way back may not be as safe.
TEST_F(Notices, ReturnsOnlyTheHeaderOfWhatDemandsTls) {
  envelope_.ret = queue::Ret::Full;
  envelope_.require_tls = true;
  EXPECT_EQ(make().parts[2]["Content-Type"], "text/rfc822-headers");
}

TEST_F(Notices, ReturnsOnlyTheHeaderOfWhatIsTooBigOrIncomplete) {
  EXPECT_EQ(make(NoticeKind::Failure, false).parts[2]["Content-Type"], "text/rfc822-headers");
  settings_.max_content_bytes = original_.size() - 1;
  EXPECT_EQ(make().parts[2]["Content-Type"], "text/rfc822-headers");
  settings_.max_content_bytes = original_.size();
  EXPECT_EQ(make().parts[2]["Content-Type"], "message/rfc822");
}

TEST_F(Notices, ReturnsNoBodyWithGoodNews) {
  reports_[0].action = Action::Delivered;
  reports_[0].status = "2.0.0";
  envelope_.ret = queue::Ret::Full;
  const Report report = make(NoticeKind::Success);
  EXPECT_EQ(report.parts[2]["Content-Type"], "text/rfc822-headers");
  EXPECT_THAT(report.parts[0].body, HasSubstr("The message was delivered."));
  EXPECT_EQ(report.statusField(1, "Action"), "delivered");
}

TEST_F(Notices, TellsOfADelayUntilWhenItIsTriedAndThatNothingNeedsToBeDone) {
  reports_[0].action = Action::Delayed;
  reports_[0].status = "4.4.1";
  reports_[0].diagnostic = "connect: timeout";
  reports_[0].diagnostic_is_smtp = false;
  reports_[0].will_retry_until = envelope_.received_at + settings_.lifetime;
  const Report report = make(NoticeKind::Delay);
  EXPECT_THAT(report.parts[0].body, HasSubstr("You need not do anything"));
  EXPECT_THAT(report.parts[0].body, HasSubstr("Sat, 28 Nov 2026 03:01:32"));
  EXPECT_THAT(report.parts[0].body, Not(HasSubstr("Try again later")));
  EXPECT_EQ(report.statusField(1, "Will-Retry-Until"), "Sat, 28 Nov 2026 03:01:32 +0000");
  EXPECT_EQ(report.statusField(1, "Action"), "delayed");
  EXPECT_EQ(report.statusField(1, "Status"), "4.4.1");
}

TEST_F(Notices, SaysHowLongItWasTriedAndWhyItFailedLast) {
  reports_[0].expired = true;
  reports_[0].status = "4.4.7";
  reports_[0].diagnostic = "452 4.2.2 mailbox full";
  const std::string text = make().parts[0].body;
  EXPECT_THAT(text, HasSubstr("It was tried for 4 days and then given up."));
  EXPECT_THAT(text, HasSubstr("452 4.2.2 mailbox full"));
}

TEST_F(Notices, TellsTheAdministratorWhatToChange) {
  reports_[0].status = "5.7.57";
  reports_[0].diagnostic = "530 5.7.57 Client not authenticated to send mail";
  EXPECT_THAT(make().parts[0].body, HasSubstr("For the mail administrator: Set username"));
}

TEST_F(Notices, NamesRecipientsOfOneFateTogether) {
  addRecipient("carol@example.net");
  const std::string text = make().parts[0].body;
  EXPECT_THAT(text, HasSubstr("  <bob@example.net>\r\n  <carol@example.net>\r\n"));
  EXPECT_EQ(text.find("no such user"), text.rfind("no such user"));
}

// --- What the other side may send to break the report.

TEST_F(Notices, StaysThreePartsWhateverTheReplyHolds) {
  const std::string boundary = "\r\n--=_sluice-unique-1-0--\r\n\r\n.\r\n";
  for (const std::string& evil : std::initializer_list<std::string>{
           boundary, std::string("550 \x1b]0;x\x07\0\x80", 11), std::string(100'000, 'A'),
           std::string(100'000, '\xff'), std::string(100'000, '\n'),
           "550 x\r\n\r\nContent-Type: text/html\r\n\r\n<b>", std::string(100'000, ' ')}) {
    reports_[0].diagnostic = evil;
    reports_[0].remote_mta = evil;
    reports_[0].remote_address = evil;
    reports_[0].status = evil;
    const Report report = make();
    EXPECT_THAT(report.status, SizeIs(2));
    EXPECT_EQ(report.statusField(1, "Status"), "5.0.0");
  }
}

TEST_F(Notices, StaysThreePartsWhateverTheEnvelopeHolds) {
  const std::string evil = "x\r\nBcc: victim@example.org\r\n\r\n\xff\x01--=_sluice-unique-1-0";
  envelope_.reverse_path = evil + std::string(2000, 'y');
  envelope_.recipients[0].forward_path = evil + std::string(2000, 'z');
  envelope_.recipients[0].orcpt = "rfc822;+0D+0AX:+20y" + std::string(2000, 'q');
  envelope_.envid = "+0D+0A+0D+0A" + std::string(2000, 'e');
  settings_.hostname = evil;
  const Report report = make();
  EXPECT_EQ(report.top["Bcc"], "(none)");
  EXPECT_THAT(report.status, SizeIs(2));
  EXPECT_THAT(report.statusField(1, "Original-Recipient"), StartsWith("rfc822; +0D+0AX:+20y"));
}

TEST_F(Notices, StaysThreePartsWhateverTheOriginalHolds) {
  const std::string huge_field = "X-Huge: " + std::string(100'000, 'h') + "\r\n";
  std::string many_fields;
  for (int i = 0; i < 5000; ++i) many_fields += "X-Many: " + std::to_string(i) + "\r\n";
  for (const std::string& evil : std::initializer_list<std::string>{
           "", "\r\n", "no header", "A: b\n\nbare\nlines\rand\rreturns\r\n",
           "A: b\r\n\r\n--=_sluice-unique-1-0--\r\n--=_sluice-unique-1-1\r\n", huge_field,
           "A: " + std::string(2000, 'l') + "\r\n\r\nbody\r\n", many_fields,
           "A: b\r\n\r\n" + std::string(5000, 'l') + "\r\n", std::string(1000, '\0'),
           "A: b\r\n\r\n" + std::string(40'000, '\n')}) {
    original_ = evil;
    make(NoticeKind::Failure, true);
    make(NoticeKind::Failure, false);
    make(NoticeKind::Delay, false);
  }
}

TEST_F(Notices, NeverBreaksALongLineOfTheBodyButLeavesTheBodyOut) {
  original_ = "A: b\r\n\r\n" + std::string(999, 'l') + "\r\n";
  EXPECT_EQ(make().parts[2]["Content-Type"], "text/rfc822-headers");
  original_ = "A: b\r\n\r\n" + std::string(998, 'l') + "\r\n";
  EXPECT_EQ(make().parts[2].body, original_);
}

TEST_F(Notices, RepeatsNoMessageIdThatIsNoMessageId) {
  for (const char* id :
       {"x", "<>", "<a b@c>", "<a@b> <c@d>", "<@b>", "<a@>", "<a\xc3\xbc@b>", ""}) {
    original_ = std::string("Message-ID: ") + id + "\r\n\r\n";
    EXPECT_EQ(make().top["In-Reply-To"], "(none)") << id;
  }
  original_ = "message-id:\r\n <folded@example.com>\r\n\r\n";
  EXPECT_EQ(make().top["In-Reply-To"], "<folded@example.com>");
}

TEST_F(Notices, ReturnsEightBitContentLegally) {
  original_ = "Subject: x\r\n\r\ngr\xc3\xbc\xc3\x9f\r\n";
  const Report report = make();
  EXPECT_EQ(report.parts[2].body, original_);
  EXPECT_EQ(report.parts[2]["Content-Transfer-Encoding"], "8bit");
  EXPECT_EQ(report.parts[0]["Content-Transfer-Encoding"], "(none)");
  EXPECT_FALSE(report.message.envelope.smtputf8);
}

TEST_F(Notices, NamesTheCharsetOfEightBitHeaders) {
  envelope_.ret = queue::Ret::Headers;
  original_ = "Subject: gr\xc3\xbc\xc3\x9f\r\n\r\n";
  EXPECT_EQ(make().parts[2]["Content-Type"], "text/rfc822-headers; charset=utf-8");
  original_ = "Subject: gr\xfc\xdf\r\n\r\n";
  EXPECT_EQ(make().parts[2]["Content-Type"], "text/rfc822-headers; charset=unknown-8bit");
}

// --- RFC 6533.

TEST_F(Notices, UsesTheInternationalFormsForSmtpUtf8) {
  envelope_.smtputf8 = true;
  envelope_.reverse_path = "j\xc3\xbcrgen@example.com";
  envelope_.recipients[0] = {
      "b\xc3\xb6"
      "b@example.net",
      {},
      "utf-8;b\\x{F6}b@example.net"};
  const Report report = make();
  EXPECT_THAT(report.top["Content-Type"], HasSubstr("report-type=global-delivery-status"));
  EXPECT_EQ(report.top["To"], "<j\xc3\xbcrgen@example.com>");
  EXPECT_EQ(report.parts[0]["Content-Type"], "text/plain; charset=utf-8");
  EXPECT_EQ(report.parts[1]["Content-Type"], "message/global-delivery-status");
  EXPECT_EQ(report.parts[2]["Content-Type"], "message/global");
  EXPECT_EQ(report.statusField(1, "Final-Recipient"),
            "utf-8; b\xc3\xb6"
            "b@example.net");
  EXPECT_EQ(report.statusField(1, "Original-Recipient"),
            "utf-8; b\xc3\xb6"
            "b@example.net");
  EXPECT_TRUE(report.message.envelope.smtputf8);
  envelope_.ret = queue::Ret::Headers;
  EXPECT_EQ(make().parts[2]["Content-Type"], "message/global-headers");
}

TEST_F(Notices, NeedsNoSmtpUtf8ForASenderWhoseAddressIsPlain) {
  envelope_.smtputf8 = true;
  envelope_.recipients[0].forward_path =
      "b\xc3\xb6"
      "b@example.net";
  const Report report = make();
  EXPECT_FALSE(report.message.envelope.smtputf8);
  EXPECT_EQ(report.message.envelope.body, queue::BodyType::EightBitMime);
}

TEST_F(Notices, KeepsTheEscapedFormOfAUtf8RecipientInAPlainReport) {
  envelope_.recipients[0].orcpt = "utf-8;b\\x{F6}b@example.net";
  EXPECT_EQ(make().statusField(1, "Original-Recipient"), "utf-8; b\\x{F6}b@example.net");
}

// --- Bounds.

TEST_F(Notices, NamesAHundredRecipientsToMachinesWithinItsSize) {
  for (int i = 1; i < 100; ++i) {
    addRecipient("user" + std::to_string(i) + "@" + std::string(200, 'd') + ".example");
    reports_.back().diagnostic = "550 5.1.1 " + std::string(3000, 'x') + std::to_string(i);
  }
  const Report report = make();
  EXPECT_THAT(report.status, SizeIs(101));
  EXPECT_EQ(report.statusField(0, "X-Sluice-Unnamed-Recipients"), "(none)");
  EXPECT_THAT(report.parts[0].body, HasSubstr("more recipients"));
}

TEST_F(Notices, CountsTheRecipientsThatItCannotName) {
  for (int i = 1; i < 3000; ++i) addRecipient("user" + std::to_string(i) + "@example.net");
  const Report report = make();
  const size_t named = report.status.size() - 1;
  EXPECT_EQ(report.statusField(0, "X-Sluice-Unnamed-Recipients"), std::to_string(3000 - named));
}

// --- Whether one is due.

TEST_F(Notices, ReportsNothingAboutAMessageFromNobody) {
  envelope_.reverse_path = "";
  EXPECT_THAT(dueReports(envelope_, NoticeKind::Failure, reports_), SizeIs(0));
}

TEST_F(Notices, ReportsFailuresAndDelaysUnlessToldOtherwise) {
  EXPECT_THAT(dueReports(envelope_, NoticeKind::Failure, reports_), SizeIs(1));
  EXPECT_THAT(dueReports(envelope_, NoticeKind::Delay, reports_), SizeIs(0)) << "it has failed";
  reports_[0].action = Action::Delayed;
  EXPECT_THAT(dueReports(envelope_, NoticeKind::Delay, reports_), SizeIs(1));
  reports_[0].action = Action::Delivered;
  EXPECT_THAT(dueReports(envelope_, NoticeKind::Success, reports_), SizeIs(0));
}

TEST_F(Notices, ObeysNotify) {
  queue::Notify& notify = envelope_.recipients[0].notify;
  notify.set = true;
  notify.never = true;
  EXPECT_THAT(dueReports(envelope_, NoticeKind::Failure, reports_), SizeIs(0));
  notify = {.set = true, .delay = true};
  EXPECT_THAT(dueReports(envelope_, NoticeKind::Failure, reports_), SizeIs(0));
  notify = {.set = true, .failure = true};
  EXPECT_THAT(dueReports(envelope_, NoticeKind::Failure, reports_), SizeIs(1));
  reports_[0].action = Action::Delayed;
  EXPECT_THAT(dueReports(envelope_, NoticeKind::Delay, reports_), SizeIs(0));
  notify = {.set = true, .success = true};
  for (const Action action : {Action::Delivered, Action::Relayed}) {
    reports_[0].action = action;
    EXPECT_THAT(dueReports(envelope_, NoticeKind::Success, reports_), SizeIs(1));
  }
}

TEST_F(Notices, DropsReportsAboutNobody) {
  reports_[0].recipient = 7;
  EXPECT_THAT(dueReports(envelope_, NoticeKind::Failure, reports_), SizeIs(0));
}

}  // namespace
}  // namespace sluice::relay
