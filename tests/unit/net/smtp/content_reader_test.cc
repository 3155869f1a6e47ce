#include "net/smtp/content_reader.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace sluice::smtp {
namespace {

using namespace std::string_literals;

struct Recorder : ContentSink {
  void onContent(std::string_view clean) override {
    EXPECT_FALSE(clean.empty());
    content.append(clean);
    ++pieces;
  }
  void onHeaderEnd(const ContentFindings&) override {
    EXPECT_EQ(header_end, std::string::npos);
    header_end = content.size();
  }
  void onMessageId(std::string_view value) override {
    EXPECT_EQ(header_end, std::string::npos);
    message_ids.emplace_back(value);
  }
  std::string content;
  std::vector<std::string> message_ids;
  size_t header_end = std::string::npos;
  size_t pieces = 0;
};

struct Outcome {
  std::string content;
  std::vector<std::string> message_ids;
  size_t header_end = 0;
  ContentFindings findings;
  bool ended = false;
  std::string rest;  // behind the end of data
};

// Feeds `input` in pieces that end at `cuts` (ascending).
Outcome read(const std::string& input, const std::vector<size_t>& cuts = {},
             ContentForm form = ContentForm::Dotted, uint64_t max_bytes = UINT64_MAX) {
  Recorder sink;
  ContentReader reader(form, max_bytes, sink);
  Outcome outcome;
  size_t from = 0;
  for (size_t i = 0; i <= cuts.size() && !outcome.ended; ++i) {
    const size_t to = i < cuts.size() ? cuts[i] : input.size();
    // Copied, so that a sanitizer sees any view that outlives its piece.
    const std::string piece = input.substr(from, to - from);
    std::string_view view = piece;
    outcome.ended = reader.feed(view);
    outcome.rest = std::string(view) + input.substr(to);
    from = to;
  }
  if (form == ContentForm::Chunked) reader.finishChunks();
  outcome.content = sink.content;
  outcome.message_ids = sink.message_ids;
  outcome.header_end = sink.header_end;
  outcome.findings = reader.findings();
  return outcome;
}

std::vector<size_t> everyByte(size_t size) {
  std::vector<size_t> cuts;
  for (size_t i = 1; i < size; ++i) cuts.push_back(i);
  return cuts;
}

// --- The line-end matrix -------------------------------------------------------------------------

enum class Refused { Never, BareNewline, Nul };
struct Row {
  std::string in;   // between X and Y
  std::string out;  // what of it is content, when it is normalised
  Refused refused = Refused::Never;
};

std::vector<Row> matrix() {
  return {
      {"\n.\n", "\r\n.\r\n", Refused::BareNewline},
      {"\n.\r\n", "\r\n.\r\n", Refused::BareNewline},
      {"\r\n.\n", "\r\n\r\n", Refused::BareNewline},
      {"\r.\r", " . ", Refused::BareNewline},
      {"\r.\r\n", " .\r\n", Refused::BareNewline},
      {"\r.\n", " .\r\n", Refused::BareNewline},
      {"\n.\r", "\r\n. ", Refused::BareNewline},
      {"\r\n.\r", "\r\n ", Refused::BareNewline},
      {"\r\r\n.\r\r\n", " \r\n \r\n", Refused::BareNewline},
      {"\r\n.\r\r\n", "\r\n \r\n", Refused::BareNewline},
      {"\r\n\0.\r\n"s, "", Refused::Nul},
      {"\r\n.\0\r\n"s, "", Refused::Nul},
      {"\0"s, "", Refused::Nul},
      {"\r\n..\r\n", "\r\n.\r\n", Refused::Never},
      {"\r\n.", "\r\n", Refused::Never},
      {"\n", "\r\n", Refused::BareNewline},
      {"\r", " ", Refused::BareNewline},
      {"\n\r", "\r\n ", Refused::BareNewline},
      {"\n\n", "\r\n\r\n", Refused::BareNewline},
      {"\r\r", "  ", Refused::BareNewline},
      {"\r\n.\xe2\x80\xa8.\r\n", "\r\n\xe2\x80\xa8.\r\n", Refused::Never},
      {"\xe2\x80\xa8.\xe2\x80\xa8", "\xe2\x80\xa8.\xe2\x80\xa8", Refused::Never},
      {"\v.\v", "\v.\v", Refused::Never},
      {"\f.\f", "\f.\f", Refused::Never},
      {"\xc2\x85.\xc2\x85", "\xc2\x85.\xc2\x85", Refused::Never},
      {"\r\n.\r.\r\n", "\r\n .\r\n", Refused::BareNewline},
      {"\r\n.\n.\r\n", "\r\n\r\n.\r\n", Refused::BareNewline},
  };
}

void expectRow(const Row& row, const Outcome& outcome, const std::string& expected) {
  ASSERT_TRUE(outcome.ended);
  EXPECT_EQ(outcome.rest, "QUIT\r\n");
  EXPECT_EQ(outcome.findings.nul, row.refused == Refused::Nul);
  if (row.refused == Refused::Nul) return;
  EXPECT_EQ(outcome.findings.bare_newlines > 0, row.refused == Refused::BareNewline);
  EXPECT_EQ(outcome.content, expected);
  EXPECT_EQ(outcome.findings.bytes, expected.size());
}

// Whole, in two pieces cut anywhere, and byte by byte.
void expectInAnySegments(const Row& row, const std::string& input, const std::string& expected) {
  SCOPED_TRACE(testing::PrintToString(input));
  expectRow(row, read(input), expected);
  for (size_t cut = 0; cut <= input.size(); ++cut) {
    SCOPED_TRACE(cut);
    expectRow(row, read(input, {cut}), expected);
    if (testing::Test::HasFailure()) return;
  }
  expectRow(row, read(input, everyByte(input.size())), expected);
}

TEST(LineEndMatrix, HoldsInTheBody) {
  for (const Row& row : matrix()) {
    const std::string head = "Subject: s\r\n\r\nX";
    expectInAnySegments(row, head + row.in + "Y\r\n.\r\nQUIT\r\n", head + row.out + "Y\r\n");
  }
}

TEST(LineEndMatrix, HoldsInTheHeader) {
  for (const Row& row : matrix()) {
    const std::string tail = "Y\r\nTo: t\r\n\r\nbody\r\n";
    expectInAnySegments(row, "Subject: X" + row.in + tail + ".\r\nQUIT\r\n",
                        "Subject: X" + row.out + tail);
  }
}

TEST(LineEndMatrix, HoldsAtTheStartOfTheMessage) {
  for (const Row& row : matrix()) {
    expectInAnySegments(row, row.in + "Y\r\n.\r\nQUIT\r\n", row.out + "Y\r\n");
  }
}

TEST(LineEndMatrix, HoldsAThousandTimesOver) {
  for (const Row& row : matrix()) {
    std::string input;
    std::string expected;
    for (int i = 0; i < 1000; ++i) {
      input += "X" + row.in + "Y";
      expected += "X" + row.out + "Y";
    }
    input += "\r\n.\r\nQUIT\r\n";
    expected += "\r\n";
    expectRow(row, read(input), expected);
    expectRow(row, read(input, everyByte(input.size())), expected);
  }
}

TEST(LineEndMatrix, EndsAtCrlfDotCrlfOnly) {
  for (size_t cut = 0; cut < 8; ++cut) {
    const Outcome outcome = read("X\r\n.\r\nY\r\n", {cut});
    EXPECT_TRUE(outcome.ended);
    EXPECT_EQ(outcome.content, "X\r\n");
    EXPECT_EQ(outcome.rest, "Y\r\n");
  }
}

TEST(LineEndMatrix, KnowsADotInTheFirstLine) {
  const std::pair<std::string, std::string> rows[] = {
      {".Y\r\n.\r\n", "Y\r\n"},
      {"..\r\n.\r\n", ".\r\n"},
      {".\nY\r\n.\r\n", "\r\nY\r\n"},
      {".\rY\r\n.\r\n", " Y\r\n"},
      {".\r\n", ""},
      {"\r\n.\r\n", "\r\n"},
      {"..Y\r\n.\r\n", ".Y\r\n"},
  };
  for (const auto& [input, expected] : rows) {
    for (size_t cut = 0; cut <= input.size(); ++cut) {
      const Outcome outcome = read(input, {cut});
      EXPECT_TRUE(outcome.ended) << testing::PrintToString(input);
      EXPECT_EQ(outcome.content, expected) << testing::PrintToString(input);
    }
  }
}

TEST(LineEndMatrix, NeverLeavesABareLineEndOrNul) {
  const auto slowly = [](const std::string& in, bool dotted) {
    std::string out;
    bool after_crlf = true;
    for (size_t i = 0; i < in.size();) {
      if (dotted && after_crlf && in.compare(i, 3, ".\r\n") == 0) break;
      if (dotted && after_crlf && in[i] == '.') {
        ++i;
        after_crlf = false;
        continue;
      }
      after_crlf = in.compare(i, 2, "\r\n") == 0;
      if (after_crlf || in[i] == '\n') {
        out += "\r\n";
      } else {
        out += in[i] == '\r' ? ' ' : in[i];
      }
      i += after_crlf ? 2 : 1;
    }
    return out;
  };
  std::mt19937 random(977);
  for (int round = 0; round < 20'000; ++round) {
    std::string input;
    for (size_t length = random() % 60; length > 0; --length) {
      input += std::string("\r\n.\r\n.\r\n.ab:")[random() % 12];
    }
    std::vector<size_t> cuts;
    for (size_t cut = random() % 9; cut < input.size(); cut += 1 + random() % 9)
      cuts.push_back(cut);
    const bool dotted = random() % 2;
    const std::string whole = dotted ? input + "\r\n.\r\n" : input;
    const Outcome outcome = read(whole, cuts, dotted ? ContentForm::Dotted : ContentForm::Chunked);
    ASSERT_EQ(outcome.content, slowly(whole, dotted)) << testing::PrintToString(whole);
  }
}

// --- Chunks --------------------------------------------------------------------------------------

TEST(Chunks, AreNeverUnstuffedAndNeverEndEarly) {
  const std::string input = ".a\r\n.\r\n..b\r\n";
  EXPECT_EQ(read(input, {}, ContentForm::Chunked).content, input);
}

TEST(Chunks, AreNormalisedAcrossTheirBorders) {
  EXPECT_EQ(read("a\r\nb", {2}, ContentForm::Chunked).content, "a\r\nb");
  EXPECT_EQ(read("a\n.\nb", {1, 2, 3}, ContentForm::Chunked).content, "a\r\n.\r\nb");
  const Outcome outcome = read("a\r", {}, ContentForm::Chunked);
  EXPECT_EQ(outcome.content, "a ");
  EXPECT_EQ(outcome.findings.bare_newlines, 1u);
}

TEST(Chunks, KeepAnEndWithoutLineEnd) {
  EXPECT_EQ(read("a: b\r\n\r\nno end", {}, ContentForm::Chunked).content, "a: b\r\n\r\nno end");
}

TEST(Chunks, RefuseNul) { EXPECT_TRUE(read("a\0b"s, {}, ContentForm::Chunked).findings.nul); }

// --- Header --------------------------------------------------------------------------------------

TEST(Header, CountsReceivedFieldsAnyhowWritten) {
  const std::string input =
      "Received: from a\r\n by b\r\nRECEIVED:x\r\nreceived \t: y\r\nX-Received: no\r\n"
      "ReceivedX: no\r\n Received: folded\r\n\r\nReceived: in the body\r\n.\r\n";
  for (size_t cut = 0; cut <= input.size(); ++cut) {
    ASSERT_EQ(read(input, {cut}).findings.received, 3u) << cut;
  }
  EXPECT_EQ(read(input, everyByte(input.size())).findings.received, 3u);
}

TEST(Header, FindsDateAndMessageId) {
  const auto with = read("Date: now\r\nMESSAGE-ID: <x>\r\n\r\nb\r\n.\r\n").findings;
  EXPECT_TRUE(with.has_date);
  EXPECT_TRUE(with.has_message_id);
  const auto without = read("Dated: now\r\nX-Message-ID: <x>\r\n\r\nDate: b\r\n.\r\n").findings;
  EXPECT_FALSE(without.has_date);
  EXPECT_FALSE(without.has_message_id);
}

// RFC 8689 section 3.
TEST(Header, SaysWhetherTlsMayBeDoneWithout) {
  const auto optional = [](const std::string& header, const std::vector<size_t>& cuts = {}) {
    return read(header + "\r\n\r\nTLS-Required: No\r\n.\r\n", cuts).findings.tls_optional;
  };
  const std::string plain = "Subject: x\r\nTLS-Required: No";
  for (size_t cut = 0; cut <= plain.size(); ++cut) EXPECT_TRUE(optional(plain, {cut})) << cut;
  EXPECT_TRUE(optional("tls-required:no "));
  EXPECT_TRUE(optional("TLS-Required : \tNO"));
  EXPECT_FALSE(optional("TLS-Required: Yes"));
  EXPECT_FALSE(optional("TLS-Required: Not"));
  EXPECT_FALSE(optional("TLS-Required:"));
  EXPECT_FALSE(optional("X-TLS-Required: No"));
}

TEST(Header, EndsBeforeItsEmptyLine) {
  const std::string input = "Subject: s\r\n\r\nbody\r\n.\r\n";
  for (size_t cut = 0; cut <= input.size(); ++cut) {
    EXPECT_EQ(read(input, {cut}).header_end, 12u) << cut;
  }
  EXPECT_EQ(read("Subject: s\r\n.\r\n").header_end, 12u);
  EXPECT_EQ(read("\r\nbody\r\n.\r\n").header_end, 0u);
  EXPECT_EQ(read(".\r\n").header_end, 0u);
}

TEST(Header, IsMissingWhenTheFirstLineIsNoField) {
  const std::pair<std::string, bool> rows[] = {
      {"Subject: s\r\n", false},
      {"Subject : s\r\n", false},
      {"__proto__: s\r\n", false},
      {"\r\nbody\r\n", false},
      {"\nbody\r\n", false},
      {" Subject: s\r\n", true},
      {"\tSubject: s\r\n", true},
      {"\rSubject: s\r\n", true},  // becomes a blank
      {": s\r\n", true},
      {"body\r\n", true},
      {"two words: s\r\n", true},
      {"gr\xc3\xbc: s\r\n", true},
      {"body", true},
      {" ", true},
      {"Subject", true},
  };
  for (const auto& [input, expected] : rows) {
    for (size_t cut = 0; cut <= input.size(); ++cut) {
      const Outcome outcome = read(input, {cut}, ContentForm::Chunked);
      EXPECT_EQ(outcome.findings.starts_with_body, expected) << testing::PrintToString(input);
      if (expected) {
        EXPECT_EQ(outcome.header_end, 0u);
      }
    }
  }
}

TEST(Header, HoldsBackNoMoreThanALineMayHave) {
  const std::string name(100'000, 'n');
  const Outcome outcome = read(name + ": v\r\n\r\n.\r\n", everyByte(name.size()));
  EXPECT_TRUE(outcome.findings.starts_with_body);
  EXPECT_EQ(outcome.content, name + ": v\r\n\r\n");
  EXPECT_FALSE(read(std::string(998, 'n') + ": v\r\n.\r\n").findings.starts_with_body);
}

TEST(Header, SaysWhenItsLastLineIsOpen) {
  EXPECT_TRUE(read("a: b", {}, ContentForm::Chunked).findings.ends_in_line);
  EXPECT_FALSE(read("a: b\r\n", {}, ContentForm::Chunked).findings.ends_in_line);
}

// --- What else is found --------------------------------------------------------------------------

TEST(Content, NotesEightBitBytes) {
  EXPECT_FALSE(read("a: b\r\n\r\nc\r\n.\r\n").findings.eight_bit);
  const std::string input = "a: b\r\n\r\n\xc3\xbc\r\n.\r\n";
  for (size_t cut = 0; cut <= input.size(); ++cut)
    EXPECT_TRUE(read(input, {cut}).findings.eight_bit);
  // What is pipelined behind the end is no content.
  EXPECT_FALSE(read("a: b\r\n.\r\nEHLO \xc3\xbc\r\n").findings.eight_bit);
}

TEST(Content, NotesWhetherItsHeaderSectionIsAscii) {
  for (const auto& [input, expected] : std::initializer_list<std::pair<std::string, bool>>{
           {"a: b\r\n\r\n\xc3\xbc\r\n.\r\n", false},
           {"a: \xc3\xbc\r\n\r\nb\r\n.\r\n", true},
           {"a: b\r\n \xc3\xbc\r\nc: d\r\n\r\n\xc3\xbc\r\n.\r\n", true},
           {"a: b\r\nc: \xc3\xbc\r\n.\r\n", true},         // all of it is header
           {"\xc3\xbc is no field\r\nb\r\n.\r\n", false},  // all of it is body
           {"\r\n\xc3\xbc: b\r\n.\r\n", false}}) {
    for (size_t cut = 0; cut <= input.size(); ++cut) {
      EXPECT_EQ(read(input, {cut}).findings.eight_bit_header, expected) << input << " at " << cut;
    }
  }
}

TEST(Content, IsCutOffAtTheLimitButReadToItsEnd) {
  const std::string body(100, 'b');
  const Outcome within = read("a: b\r\n\r\n" + body + "\r\n.\r\nX", {}, ContentForm::Dotted, 110);
  EXPECT_FALSE(within.findings.too_large);
  const Outcome beyond = read("a: b\r\n\r\n" + body + "\r\n.\r\nX", {20}, ContentForm::Dotted, 109);
  EXPECT_TRUE(beyond.findings.too_large);
  EXPECT_TRUE(beyond.ended);
  EXPECT_EQ(beyond.rest, "X");
  EXPECT_LE(beyond.content.size(), 109u);
}

TEST(Content, LeavesLongLinesAlone) {
  for (const size_t length : {998, 999, 64 * 1024}) {
    const std::string message =
        "Subject: " + std::string(length, 's') + "\r\n\r\n" + std::string(length, 'b') + "\r\n";
    EXPECT_EQ(read(message + ".\r\n").content, message);
  }
}

// RFC 5322 section 2.2.3: a field may be folded right behind its colon.
TEST(Content, TellsItsFirstMessageIdInAnySegmentation) {
  using Ids = std::vector<std::string>;
  const std::pair<std::string, Ids> cases[] = {
      {"Message-ID: <a@b>\r\n\r\nx\r\n.\r\n", {"<a@b>"}},
      {"From: x\r\nmessage-id :\t<a@b> \r\nMessage-ID: <c@d>\r\n\r\n.\r\n", {"<a@b>"}},
      {"Message-ID:\r\n  <a@b>\r\n\r\n.\r\n", {"<a@b>"}},
      {"Message-ID:\r\nFrom: x\r\n\r\n.\r\n", {}},
      {"Message-ID:\r\n\r\n <a@b>\r\n.\r\n", {}},
      {"From: x\r\n\r\nMessage-ID: <a@b>\r\n.\r\n", {}},
  };
  for (const auto& [input, ids] : cases) {
    EXPECT_EQ(read(input).message_ids, ids) << input;
    EXPECT_EQ(read(input, everyByte(input.size())).message_ids, ids) << input;
  }
  const std::string endless = "Message-ID: <" + std::string(5000, 'x') + ">\r\n\r\n.\r\n";
  EXPECT_EQ(read(endless, everyByte(endless.size())).message_ids.size(), 1u);
}

TEST(Content, ComesInFewPieces) {
  Recorder sink;
  ContentReader reader(ContentForm::Dotted, UINT64_MAX, sink);
  std::string message = "Subject: s\r\n\r\n";
  for (int i = 0; i < 1000; ++i) message += "a line of text as they usually are\r\n";
  message += ".\r\n";
  std::string_view view = message;
  EXPECT_TRUE(reader.feed(view));
  EXPECT_LE(sink.pieces, 3u);
}

}  // namespace
}  // namespace sluice::smtp
