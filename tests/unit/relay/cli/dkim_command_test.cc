// sluice dkim keygen: a key that only its owner reads, and the record that goes with it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "relay/cli/commands.h"
#include "relay/config/dkim_key_file.h"
#include "relay/sign/dkim_record.h"
#include "tests/unit/relay/config/config_scene.h"

namespace sluice::relay {
namespace {

using testing::HasSubstr;

struct Outcome {
  int exit_code;
  std::string out;
  std::string err;
};

Outcome keygen(std::vector<std::string> arguments) {
  std::ostringstream out, err;
  CliContext context{out, err};
  std::vector<const char*> all{"sluice", "dkim", "keygen"};
  for (const std::string& argument : arguments) all.push_back(argument.c_str());
  constexpr AddCommand kCommands[] = {addDkimCommand};
  const int code = runCli(static_cast<int>(all.size()), all.data(), kCommands, context);
  return {code, out.str(), err.str()};
}

TEST(DkimKeygen, WritesAnRsaKeyForItsOwnerOnlyAndPrintsItsRecord) {
  const TestFolder folder;
  const std::string path = folder.path() + "/key.pem";
  const auto done = keygen({"--domain", "Example.com", "--selector", "s2026a", "--output", path});
  ASSERT_EQ(done.exit_code, 0) << done.err;
  const auto key = loadDkimKey(path);
  ASSERT_TRUE(key) << key.error().detail;
  EXPECT_EQ((*key)->bits(), 2048u);
  EXPECT_THAT(done.out, HasSubstr("\n" + dkimZoneLine("s2026a._domainkey.example.com",
                                                      dkimRecord(**key)) +
                                  "\n"));
  struct stat status {};
  ASSERT_EQ(stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
}

TEST(DkimKeygen, MakesAnEd25519Key) {
  const TestFolder folder;
  const std::string path = folder.path() + "/key.pem";
  const auto done = keygen({"-d", "example.com", "-s", "e", "-o", path, "--ed25519", "--json"});
  ASSERT_EQ(done.exit_code, 0) << done.err;
  const auto key = *loadDkimKey(path);
  EXPECT_EQ(key->kind(), net::SigningKey::Kind::Ed25519);
  const auto json = nlohmann::json::parse(done.out);
  EXPECT_EQ(json["name"], "e._domainkey.example.com");
  EXPECT_EQ(json["record"], dkimRecord(*key));
  EXPECT_EQ(json["key"], path);
}

TEST(DkimKeygen, LeavesAFileThatIsThereAlone) {
  const TestFolder folder;
  const std::string path = folder.file("key.pem", "precious");
  const auto done = keygen({"-d", "example.com", "-s", "e", "-o", path, "--ed25519"});
  EXPECT_EQ(done.exit_code, 1);
  EXPECT_THAT(done.err, HasSubstr("File exists"));
  EXPECT_EQ(done.out, "");
  std::ifstream file(path);
  std::string text;
  file >> text;
  EXPECT_EQ(text, "precious");
}

TEST(DkimKeygen, RefusesNamesThatNoRecordCanHave) {
  EXPECT_EQ(keygen({"-d", "not a domain", "-s", "e"}).exit_code, 1);
  EXPECT_EQ(keygen({"-d", "example.com", "-s", "a b"}).exit_code, 1);
  EXPECT_EQ(keygen({"-d", "example.com"}).exit_code, 2);
  EXPECT_EQ(keygen({"-d", "example.com", "-s", "e", "--bits", "1024"}).exit_code, 2);
}

}  // namespace
}  // namespace sluice::relay
