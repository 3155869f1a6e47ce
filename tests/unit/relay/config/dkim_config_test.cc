// [[dkim]]: which keys are taken, and where a key that cannot sign is reported.
#include "net/tls/signing_key.h"
#include "tests/unit/relay/config/config_scene.h"

namespace sluice::relay {
namespace {

using testing::HasSubstr;

std::string mistakesOf(const std::string& text) {
  return allMistakes(parseConfig(text, "a.toml", sceneWith()));
}

// RFC 8463 appendix A.2: 1024 bits.
constexpr const char* kShortRsaPem = R"(-----BEGIN RSA PRIVATE KEY-----
MIICXQIBAAKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQi
Y/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqM
KrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB
AoGAH0cxOhFZDgzXWhDhnAJDw5s4roOXN4OhjiXa8W7Y3rhX3FJqmJSPuC8N9vQm
6SVbaLAE4SG5mLMueHlh4KXffEpuLEiNp9Ss3O4YfLiQpbRqE7Tm5SxKjvvQoZZe
zHorimOaChRL2it47iuWxzxSiRMv4c+j70GiWdxXnxe4UoECQQDzJB/0U58W7RZy
6enGVj2kWF732CoWFZWzi1FicudrBFoy63QwcowpoCazKtvZGMNlPWnC7x/6o8Gc
uSe0ga2xAkEA8C7PipPm1/1fTRQvj1o/dDmZp243044ZNyxjg+/OPN0oWCbXIGxy
WvmZbXriOWoSALJTjExEgraHEgnXssuk7QJBALl5ICsYMu6hMxO73gnfNayNgPxd
WFV6Z7ULnKyV7HSVYF0hgYOHjeYe9gaMtiJYoo0zGN+L3AAtNP9huqkWlzECQE1a
licIeVlo1e+qJ6Mgqr0Q7Aa7falZ448ccbSFYEPD6oFxiOl9Y9se9iYHZKKfIcst
o7DUw1/hz2Ck4N5JrgUCQQCyKveNvjzkkd8HjYs0SwM0fPjK16//5qDZ2UiDGnOe
uEzxBDAr518Z8VFbR41in3W4Y3yCDgQlLlcETrS+zYcL
-----END RSA PRIVATE KEY-----
)";

TEST(DkimConfig, ADkimKeyThatCannotSignIsAMistakeAtItsKey) {
  const TestFolder folder;
  const auto with = [&](const std::string& pem, mode_t mode = 0600) {
    return mistakesOf("[[dkim]]\ndomain = \"a.example\"\nselector = \"s\"\nkey = \"" +
                      folder.file("k", pem, mode) + "\"\n");
  };
  EXPECT_EQ(with((*net::SigningKey::makeRsa(2048))->toPem()), "");
  EXPECT_EQ(with((*net::SigningKey::makeEd25519())->toPem()), "");
  EXPECT_THAT(with((*net::SigningKey::makeEd25519())->toPem(), 0644),
              HasSubstr("a.toml:4:7: [[dkim]] key: " + folder.path() + "/k is open to every user"));
  EXPECT_THAT(with("no PEM at all\n"), HasSubstr("a.toml:4:1: [[dkim]] key: " + folder.path() +
                                                 "/k: no private key in PEM form"));
  EXPECT_THAT(with(kShortRsaPem), HasSubstr("1024 bits is too short"));
}

TEST(DkimConfig, SeveralKeysOfOneDomainAreReadInTheirOrder) {
  const TestFolder folder;
  const auto first = *net::SigningKey::makeEd25519();
  const auto second = *net::SigningKey::makeEd25519();
  const auto entry = [&](const std::string& selector, const net::SigningKey& key) {
    return "[[dkim]]\ndomain = \"a.example\"\nselector = \"" + selector + "\"\nkey = \"" +
           folder.file(selector, key.toPem()) + "\"\n";
  };
  const auto loaded =
      parseConfig(entry("s1", *first) + entry("s2", *second), "a.toml", sceneWith());
  ASSERT_EQ(allMistakes(loaded), "");
  ASSERT_EQ(loaded.config.dkim.size(), 2u);
  EXPECT_EQ(loaded.config.dkim[0].private_key->publicKey(), first->publicKey());
  EXPECT_EQ(loaded.config.dkim[1].private_key->publicKey(), second->publicKey());
  EXPECT_THAT(mistakesOf(entry("s1", *first) + entry("s1", *second)), HasSubstr("is there twice"));
}

}  // namespace
}  // namespace sluice::relay
