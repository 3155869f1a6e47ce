#include "net/smtp/xtext.h"

#include <gtest/gtest.h>

namespace sluice::smtp {
namespace {

TEST(Xtext, DecodesWhatWasEncoded) {
  const std::string text = "a+b=c d@example.com";
  EXPECT_EQ(encodeXtext(text), "a+2Bb+3Dc+20d@example.com");
  EXPECT_EQ(decodeXtext(encodeXtext(text)).value(), text);
}

TEST(Xtext, RefusesLineEndsAndOtherControlsInDisguise) {
  for (const std::string text : {"a+0D+0Ab", "a+0A", "+00", "a+7F", "a+1Bb", "a+09"}) {
    EXPECT_FALSE(isXtext(text)) << text;
    EXPECT_FALSE(decodeXtext(text)) << text;
  }
}

TEST(Xtext, RefusesNonAsciiRawAndEncoded) {
  EXPECT_FALSE(isXtext("gr\xc3\xbc\xc3\x9f"));
  EXPECT_FALSE(isXtext("+C3+BC"));
}

TEST(Xtext, DecodesEightBitBytesWhereTheCallerAsksForThem) {
  EXPECT_EQ(decodeEightBitXtext("gr+C3+BC@a.test").value(), "gr\xc3\xbc@a.test");
  EXPECT_FALSE(decodeEightBitXtext("gr+C3+BC+0A@a.test"));
  EXPECT_FALSE(decodeEightBitXtext("gr\xc3\xbc@a.test"));
}

TEST(Xtext, RefusesWhatIsOutOfForm) {
  for (const std::string text : {"", "a b", "a=b", "+", "+2", "+2G", "+2b", "a+"}) {
    EXPECT_FALSE(isXtext(text)) << text;
  }
}

TEST(Xtext, EncodesAnyBytes) { EXPECT_EQ(encodeXtext("\r\n\xff"), "+0D+0A+FF"); }

}  // namespace
}  // namespace sluice::smtp
