// Hostile bytes on their way into a notice.
#include "relay/notify/clean_text.h"

#include <gtest/gtest.h>

namespace sluice::relay {
namespace {

TEST(CleanText, MakesOneLineOfSeveralAndDropsControls) {
  EXPECT_EQ(cleanText("550 no\r\nBcc: x\n\x1b[2Jend\x7f ", Charset::Ascii, 100),
            "550 no Bcc: x [2Jend");
  EXPECT_EQ(cleanText(std::string("a\0b", 3), Charset::Ascii, 100), "a b");
}

TEST(CleanText, WritesWhatIsNotAsciiOut) {
  EXPECT_EQ(cleanText("gr\xc3\xbc\xc3\x9f", Charset::Ascii, 100), "gr\\x{FC}\\x{DF}");
  EXPECT_EQ(cleanText("\xff\xfe!", Charset::Ascii, 100),
            "?"
            "?!");
}

TEST(CleanText, KeepsVisibleUtf8WhereItMayStand) {
  EXPECT_EQ(cleanText("gr\xc3\xbc\xc3\x9f", Charset::Utf8, 100), "gr\xc3\xbc\xc3\x9f");
  EXPECT_EQ(cleanText("a\xe2\x80\xa8"
                      "b",
                      Charset::Utf8, 100),
            "a\\x{2028}b");  // line separator
  EXPECT_EQ(cleanText("a\xe2\x80\xae"
                      "b",
                      Charset::Utf8, 100),
            "a\\x{202E}b");  // turns text round
  EXPECT_EQ(cleanText("a\xc2\x85"
                      "b",
                      Charset::Utf8, 100),
            "a\\x{85}b");  // NEL
  EXPECT_EQ(cleanText("\xc0\x8a\xed\xa0\x80\xf5\x80", Charset::Utf8, 100), std::string(7, '?'));
  EXPECT_EQ(cleanText("\xc3", Charset::Utf8, 100), "?");
}

TEST(CleanText, CutsAtTheLimit) {
  EXPECT_EQ(cleanText("abcdef", Charset::Ascii, 6), "abcdef");
  EXPECT_EQ(cleanText("abcdefg", Charset::Ascii, 6), "abcdef...");
  EXPECT_LE(cleanText(std::string(100'000, '\xff'), Charset::Ascii, 500).size(), 503u);
}

TEST(AppendField, FoldsAtSpacesAndCutsEndlessWords) {
  std::string out;
  appendField(out, "Diagnostic-Code", "smtp; " + std::string(60, 'a') + " " + std::string(60, 'b'));
  EXPECT_EQ(out, "Diagnostic-Code: smtp;\r\n " + std::string(60, 'a') + "\r\n " +
                     std::string(60, 'b') + "\r\n");
  out.clear();
  appendField(out, "X", std::string(5000, 'x'));
  for (size_t at = 0; at < out.size();) {
    const size_t end = out.find("\r\n", at);
    ASSERT_NE(end, std::string::npos);
    EXPECT_LE(end - at, kMaxLineBytes);
    at = end + 2;
  }
}

TEST(AppendField, KeepsAnEmptyValueAField) {
  std::string out;
  appendField(out, "X", "   ");
  EXPECT_EQ(out, "X:\r\n");
}

}  // namespace
}  // namespace sluice::relay
