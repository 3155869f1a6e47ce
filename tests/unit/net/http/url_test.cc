#include "net/http/url.h"

#include <gmock/gmock.h>

namespace sluice::net {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

TEST(Url, PathIsSplitBeforeItIsDecoded) {
  EXPECT_THAT(*splitPath("/api/v1/queues/a%2Fb%3D"), ElementsAre("api", "v1", "queues", "a/b="));
  EXPECT_THAT(*splitPath("/"), IsEmpty());
  EXPECT_THAT(*splitPath("/a+b"), ElementsAre("a+b"));
}

TEST(Url, DotSegmentsAreNoWayUp) {
  EXPECT_THAT(*splitPath("/api/../etc"), ElementsAre("api", "..", "etc"));
  EXPECT_THAT(*splitPath("/..%2f..%2fetc"), ElementsAre("../../etc"));
}

TEST(Url, BadEscapesAndControlCharactersAreRefused) {
  for (const char* path : {"", "x", "*", "/%", "/%4", "/%zz", "/%00", "/a%0d%0ab", "/%7f"}) {
    EXPECT_FALSE(splitPath(path)) << path;
  }
}

TEST(Url, DecodesOnce) { EXPECT_EQ(*percentDecode("%252e", false), "%2e"); }

TEST(Url, EncodingComesBackTheSame) {
  std::string all;
  for (int c = 0x20; c < 0x100; ++c) {
    if (c != 0x7f) all += static_cast<char>(c);
  }
  EXPECT_EQ(*percentDecode(percentEncode(all), true), all);
  EXPECT_EQ(percentEncode("a/b c"), "a%2Fb%20c");
}

TEST(Url, QueryHasNamesAndValues) {
  EXPECT_THAT(*splitQuery("a=1&b=x+y%26z&&c&d=e=f"),
              ElementsAre(Pair("a", "1"), Pair("b", "x y&z"), Pair("c", ""), Pair("d", "e=f")));
  EXPECT_THAT(*splitQuery(""), IsEmpty());
}

TEST(Url, TooManyPiecesAreRefused) {
  std::string path;
  std::string query;
  for (size_t i = 0; i <= kMaxPathSegments; ++i) path += "/a";
  for (size_t i = 0; i <= kMaxQueryParameters; ++i) query += "a=1&";
  EXPECT_EQ(splitPath(path).error().code, Errc::TooLarge);
  EXPECT_EQ(splitQuery(query).error().code, Errc::TooLarge);
}

}  // namespace
}  // namespace sluice::net
