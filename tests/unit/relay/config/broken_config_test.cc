// Each broken configuration is reported at its place, and nothing in it is passed over.
#include <ostream>
#include <vector>

#include "tests/unit/relay/config/config_scene.h"

namespace sluice::relay {
namespace {

using testing::HasSubstr;
using namespace std::string_literals;

struct Broken {
  std::string name;
  std::string text;
  int line;
  int column;
  std::string message;  // part of it
};
void PrintTo(const Broken& broken, std::ostream* out) { *out << broken.name; }

class BrokenConfig : public testing::TestWithParam<Broken> {};

TEST_P(BrokenConfig, IsReportedAtItsPlaceOnce) {
  const LoadedConfig loaded = parseConfig(GetParam().text, "a.toml", sceneWith());
  ASSERT_EQ(loaded.mistakes.size(), 1u) << allMistakes(loaded);
  EXPECT_EQ(loaded.mistakes[0].line, GetParam().line) << allMistakes(loaded);
  EXPECT_EQ(loaded.mistakes[0].column, GetParam().column) << allMistakes(loaded);
  EXPECT_THAT(loaded.mistakes[0].message, HasSubstr(GetParam().message));
}

const std::vector<Broken> kSyntax{
    {"NoValue", "hostname =\n", 1, 11, "key-value pair"},
    {"OpenString", "hostname = \"relay\n", 1, 18, "string"},
    {"OpenList", "[[receive]]\nlisten = [\"127.0.0.1:25\"\n", 2, 26, "end-of-file"},
    {"KeyTwice", "shards = 1\n\n  shards = 2\n", 3, 3, "'shards'"},
    {"SectionTwice", "[dns]\n[queue]\n[dns]\n", 3, 1, "'dns'"},
    {"ByteOrderMark", "\xef\xbb\xbfshards = 1\n", 1, 1, "byte order mark"},
    {"Utf16", "\xff\xfes\0h\0"s, 1, 1, "byte order mark"},
    {"Nul", "shards = 1\nhostname = \"a\0b\"\n"s, 2, 14, "NUL"},
    {"InvalidUtf8", "hostname = \"\xff\"\n", 1, 12, "utf-8"},
    {"Overflow", "shards = 99999999999999999999\n", 1, 30, "99999999999999999999"},
    {"DeepLists", "a = " + std::string(100'000, '['), 1, 261, "depth"},
    {"DeepKeys",
     std::string(2001, 'a') + "\n" +
         [] {
           std::string key;
           for (int i = 0; i < 5000; ++i) key += "a.";
           return key;
         }() +
         "a = 1\n",
     2, 2002, "dots"},
    {"TooLargeFile", std::string((1 << 20) + 1, '#'), 1, 1, "1 MiB"},
};

const std::vector<Broken> kKeys{
    {"UnknownKey", "hostnam = \"a.example\"\n", 1, 1,
     "hostnam: unknown key (did you mean \"hostname\"?)"},
    {"SwappedLetters", "[queue]\nlifetiem = \"1d\"\n", 2, 1, "did you mean \"lifetime\"?"},
    {"UnknownSection", "[recieve]\nlisten = []\n", 1, 2, "did you mean \"receive\"?"},
    {"Include", "include = \"a.toml\"\n", 1, 1, "include: unknown key"},
    {"KeyInAnotherSection", "[queue]\nmemory = \"10%\"\nrelay_networks = []\n", 3, 1,
     "it belongs in [[receive]]"},
    {"TopKeyBehindASection", "[log]\nlevel = \"info\"\ndata_dir = \"/a\"\n", 3, 1,
     "at the top of the file"},
    {"UnknownKeyInATable", "[[receive]]\nauth_lockout = { failure = 1 }\n", 2, 18,
     "did you mean \"failures\"?"},
    {"TableForList", "[receive]\nname = \"a\"\n", 1, 2, "write [[receive]]"},
    {"ListForTable", "[[queue]]\n", 1, 3, "write [queue]"},
    {"ValueForTable", "dns = \"127.0.0.1\"\n", 1, 1, "write [dns]"},
};

const std::vector<Broken> kTypes{
    {"StringForInteger", "shards = \"2\"\n", 1, 10, "shards: must be a whole number, not a string"},
    {"FloatForInteger", "shards = 2.5\n", 1, 10, "a number with a fraction"},
    {"IntegerForString", "hostname = 1\n", 1, 12, "must be a string"},
    {"StringForBoolean", "[[receive]]\nopen_relay = \"yes\"\n", 2, 14, "true or false"},
    {"StringForList", "[[receive]]\nlisten = \"127.0.0.1:25\"\n", 2, 10, "must be a list"},
    {"DateForDuration", "[queue]\nlifetime = 2026-01-01\n", 2, 12, "date"},
    {"NumberInAList", "[[receive]]\nrelay_networks = [\"10.0.0.0/8\", 7]\n", 2, 33,
     "must be a string"},
    {"NotANumber", "[queue]\nretry_factor = nan\n", 2, 16, "nan is not from 1 to 100"},
    {"StringForTable", "[[receive]]\nauth_lockout = \"10m\"\n", 2, 16, "must be a table"},
};

const std::vector<Broken> kUnits{
    {"DurationWithoutUnit", "[queue]\nretry_first = 120\n", 2, 15, "write \"120s\""},
    {"UnknownDurationUnit", "[queue]\nretry_first = \"2min\"\n", 2, 15, "no unit of time"},
    {"NegativeDuration", "[queue]\nretry_first = \"-2m\"\n", 2, 15, "negative"},
    {"FractionalDuration", "[queue]\nretry_first = \"1.5h\"\n", 2, 15, "fraction"},
    {"EmptyDuration", "[queue]\nretry_first = \"\"\n", 2, 15, "empty"},
    {"DurationOverflow", "[queue]\nlifetime = \"99999999999999999999d\"\n", 2, 12, "too large"},
    {"LongDuration", "[queue]\nlifetime = \"4000d\"\n", 2, 12, "ten years"},
    {"DurationOutOfRange", "[[send]]\nconnect_timeout = \"5d\"\n", 2, 19, "not from 10ms to 1h"},
    {"DecimalSizeUnit", "[queue]\ndisk_reserve = \"1GB\"\n", 2, 16, "steps of 1024"},
    {"NegativeSize", "[queue]\ndisk_reserve = -1\n", 2, 16, "negative"},
    {"SizeOverflow", "[[receive]]\nmax_message_size = \"99999999999TiB\"\n", 2, 20,
     "over 1024 TiB"},
    {"SizeOutOfRange", "[[receive]]\nmax_message_size = \"1TiB\"\n", 2, 20,
     "not from 1KiB to 2GiB"},
    {"RateWithoutUnit", "[[send]]\nrate = \"100\"\n", 2, 8, "no rate"},
    {"RateOfZero", "[[send]]\nrate = \"0/s\"\n", 2, 8, "stop all mail"},
    {"PercentageOutOfRange", "[queue]\nmemory = \"120%\"\n", 2, 10, "from 1% to 90%"},
    {"IntegerOutOfRange", "shards = -1\n", 1, 10, "-1 is not from 0 to 256"},
    {"Port", "[[send]]\nport = 65536\n", 2, 8, "65536 is not from 1 to 65535"},
};

const std::vector<Broken> kForms{
    {"HostBits", "[[receive]]\nrelay_networks = [\"10.0.0.1/8\"]\n", 2, 19, "10.0.0.1/8"},
    {"PrefixTooLong", "[[receive]]\nrelay_networks = [\"10.0.0.0/33\"]\n", 2, 19, "no network"},
    {"NoNetwork", "[[receive]]\nrelay_networks = [\"localnet\"]\n", 2, 19, "no network"},
    {"NetworkTwice", "[[receive]]\nrelay_networks = [\"10.0.0.0/8\", \"10.0.0.0/8\"]\n", 2, 33,
     "twice"},
    {"ListenWithoutPort", "[[receive]]\nlisten = [\"127.0.0.1\"]\n", 2, 11, "no address and port"},
    {"ListenOnAName", "[[receive]]\nlisten = [\"localhost:25\"]\n", 2, 11, "no address and port"},
    {"ListenPortOverflow", "[[receive]]\nlisten = [\"127.0.0.1:70000\"]\n", 2, 11,
     "no address and port"},
    {"ListenNowhere", "[[receive]]\nlisten = []\n", 2, 10, "must not be empty"},
    {"EmptyHostname", "hostname = \"\"\n", 1, 12, "must not be empty"},
    {"HostnameWithSpace", "hostname = \"my relay\"\n", 1, 12, "no host name"},
    {"HostnameInAnotherScript", "hostname = \"relä.example\"\n", 1, 12, "xn--"},
    {"HostnameIsAnAddress", "hostname = \"192.0.2.1\"\n", 1, 12, "no host name"},
    {"PostmasterWithoutDomain", "postmaster = \"postmaster\"\n", 1, 14, "no mail address"},
    {"ControlCharacter", "data_dir = \"/a\\u0007b\"\n", 1, 12, "control character"},
    {"UnknownChoice", "[[receive]]\ntls = \"start-tls\"\n", 2, 7, "did you mean \"starttls\"?"},
    {"UnknownLevel", "[log]\nlevel = \"trace\"\n", 2, 9, "\"trace\" is none of"},
    {"UnknownMechanism", "[[receive]]\nauth_mechanisms = [\"cram-md5\"]\n", 2, 20, "not known"},
    {"SpaceWithStar", "[[send]]\naddress_spaces = [\"*.example.com\"]\n", 2, 19,
     "\".example.com\" means"},
    {"SpaceWithoutDomain", "[[send]]\naddress_spaces = [{ cost = 2 }]\n", 2, 19, "lacks a domain"},
    {"SmartHostIpv6WithoutBrackets",
     "[[send]]\nroute = \"smart-host\"\nsmart_hosts = [\"2001:db8::1\"]\n", 3, 16,
     "[2001:db8::1]:25"},
    {"SmartHostPort", "[[send]]\nroute = \"smart-host\"\nsmart_hosts = [\"a.example:0\"]\n", 3, 16,
     "no port"},
    {"ConnectorName", "[[send]]\nname = \"a b\"\n", 2, 8, "letters, digits"},
    {"MatchAll", "[[destination]]\nmatch = [\"*\"]\n", 2, 10, "set it in [[send]]"},
    {"UnsetVariable", "hostname = \"${NOT_SET}\"\n", 1, 12, "NOT_SET is not set"},
    {"OpenVariable", "hostname = \"${NOT_SET\"\n", 1, 12, "closing brace"},
    {"NoVariable", "hostname = \"${1}\"\n", 1, 12, "names no environment variable"},
};

const std::vector<Broken> kConflicts{
    {"SmartHostsWithMx", "[[send]]\nsmart_hosts = [\"a.example:25\"]\n", 2, 1,
     "route = \"smart-host\""},
    {"SmartHostWithoutHosts", "[[send]]\nroute = \"smart-host\"\n", 2, 1, "needs smart_hosts"},
    {"PortWithSmartHost",
     "[[send]]\nroute = \"smart-host\"\nsmart_hosts = [\"a.example\"]\nport = 26\n", 4, 1,
     "in smart_hosts"},
    {"BalanceWithMx", "[[send]]\nbalance = true\n", 2, 1, "needs route"},
    {"UsernameWithoutPassword",
     "[[send]]\nroute = \"smart-host\"\nsmart_hosts = [\"a.example\"]\nusername = \"u\"\n", 4, 1,
     "needs a password_file"},
    {"PasswordWithoutUsername", "[[send]]\npassword = \"p\"\n", 2, 1, "needs a username"},
    {"MechanismWithoutUsername", "[[send]]\nauth_mechanism = \"plain\"\n", 2, 1,
     "without a username"},
    {"ImplicitTlsWithoutCertificate", "[[receive]]\ntls = \"implicit\"\n", 2, 1,
     "needs tls_certificate"},
    {"AuthRequiredWithoutUsers", "[[receive]]\nauth = \"required\"\n", 2, 1, "needs a users_file"},
    {"PlaintextWithAuthOff", "[[receive]]\nauth = \"off\"\nauth_plaintext = true\n", 3, 1,
     "of no use"},
    {"AdminWithoutToken", "[admin]\nlisten = \"0.0.0.0:8025\"\n", 2, 1, "token_file"},
    {"TokenWithSpace", "[admin]\ntoken = \"a b\"\n", 2, 1, "space"},
    {"DaneWithoutTrust", "[[send]]\ntls = \"dane\"\n", 2, 1, "trust_ad"},
    {"DestinationDaneWithoutTrust", "[[destination]]\nmatch = [\"a.example\"]\ntls = \"dane\"\n", 3,
     1, "trust_ad"},
    {"DestinationWithoutMatch", "[[destination]]\nmax_connections = 1\n", 1, 1,
     "match: is missing"},
    {"NoticeAfterTheEnd", "[queue]\nlifetime = \"3h\"\ndelay_notice = \"4h\"\n", 3, 1,
     "after the end of the lifetime (3h)"},
    {"ReceiveNameTwice",
     "[[receive]]\nname = \"a\"\nlisten = [\"127.0.0.1:1\"]\n"
     "[[receive]]\nname = \"a\"\nlisten = [\"127.0.0.1:2\"]\n",
     5, 1, "another [[receive]]"},
    {"SendNameTwice",
     "[[send]]\nname = \"a\"\n[[send]]\nname = \"a\"\naddress_spaces = [\"b.example\"]\n", 4, 1,
     "another [[send]]"},
    {"ListenTwice",
     "[[receive]]\nlisten = [\"127.0.0.1:25\"]\n[[receive]]\nlisten = [\"127.0.0.1:25\"]\n", 4, 1,
     "overlaps with 127.0.0.1:25"},
    {"ListenOverlap",
     "[[receive]]\nlisten = [\"0.0.0.0:25\"]\n[[receive]]\nlisten = [\"127.0.0.1:25\"]\n", 4, 1,
     "overlaps with 0.0.0.0:25"},
    {"AdminOverlap", "[admin]\nlisten = \"127.0.0.1:2525\"\n", 2, 1,
     "overlaps with 127.0.0.1:2525"},
    {"SpaceOverlap", "[[send]]\nname = \"a\"\n[[send]]\nname = \"b\"\naddress_spaces = [\"*\"]\n",
     5, 1, "give one of them a higher cost"},
    {"MatchTwice",
     "[[destination]]\nmatch = [\"a.example\"]\n[[destination]]\nmatch = [\"A.example\"]\n", 4, 1,
     "another [[destination]]"},
    {"OpenRelay", "[[receive]]\nlisten = [\"0.0.0.0:25\"]\nrelay_networks = [\"0.0.0.0/0\"]\n", 3,
     1, "open relay"},
    {"OpenRelayInHalves",
     "[[receive]]\nlisten = [\"0.0.0.0:25\"]\nrelay_networks = [\"0.0.0.0/1\", \"128.0.0.0/1\"]\n",
     3, 1, "open relay"},
    {"OpenRelayOverIpv6", "[[receive]]\nlisten = [\"[::]:25\"]\nrelay_networks = [\"::/0\"]\n", 3,
     1, "open relay"},
    {"OpenRelayOverMappedIpv4",
     "[[receive]]\nlisten = [\"[::]:25\"]\nrelay_networks = [\"::ffff:0.0.0.0/96\"]\n", 3, 1,
     "open relay"},
};

const auto kName = [](const auto& test) { return test.param.name; };
INSTANTIATE_TEST_SUITE_P(Syntax, BrokenConfig, testing::ValuesIn(kSyntax), kName);
INSTANTIATE_TEST_SUITE_P(Keys, BrokenConfig, testing::ValuesIn(kKeys), kName);
INSTANTIATE_TEST_SUITE_P(Types, BrokenConfig, testing::ValuesIn(kTypes), kName);
INSTANTIATE_TEST_SUITE_P(Units, BrokenConfig, testing::ValuesIn(kUnits), kName);
INSTANTIATE_TEST_SUITE_P(Forms, BrokenConfig, testing::ValuesIn(kForms), kName);
INSTANTIATE_TEST_SUITE_P(Conflicts, BrokenConfig, testing::ValuesIn(kConflicts), kName);

}  // namespace
}  // namespace sluice::relay
