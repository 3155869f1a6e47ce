#include "relay/config/users_file.h"

#include "config_scene.h"

namespace sluice::relay {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string mistakesOf(const LoadedUsers& loaded) {
  std::string out;
  for (const auto& mistake : loaded.mistakes) out += mistake.toString() + "\n";
  return out;
}

User userWith(std::vector<std::string> senders) {
  User user;
  user.senders = std::move(senders);
  return user;
}

TEST(UsersFile, ReadsTheLinesThatAreMadeForIt) {
  const auto ann = usersLine("ann", "secret", {true, {"ann@example.com", "@example.org"}});
  const auto bob = usersLine("bob", "other", {false, {}});
  ASSERT_TRUE(ann.has_value() && bob.has_value());
  EXPECT_THAT(*ann, Not(HasSubstr("secret")));
  const auto loaded = parseUsers("# people\n\n  " + *ann + "\r\n" + *bob, "users");
  ASSERT_TRUE(loaded.users) << mistakesOf(loaded);
  const User* found = loaded.users->find("ann");
  ASSERT_TRUE(found && found->password && found->scram);
  EXPECT_TRUE(matches(*found->password, "secret"));
  EXPECT_FALSE(matches(*found->password, "Secret"));
  const auto keys =
      sasl::deriveScramKeys("secret", found->scram->salt, found->scram->iterations).value();
  EXPECT_EQ(net::sha256(net::asView(keys.client_key)), found->scram->stored_key);
  EXPECT_FALSE(loaded.users->find("bob")->scram);
  EXPECT_FALSE(loaded.users->find("carl"));
}

TEST(UsersFile, SaltsEachLineAnew) {
  EXPECT_NE(usersLine("ann", "secret", {}).value(), usersLine("ann", "secret", {}).value());
}

TEST(UsersFile, NamesTheLineAndColumnOfAMistakeAndQuotesNoSecret) {
  const std::string good = usersLine("ann", "secret", {}).value();
  const auto loaded = parseUsers(good + "\nbob scrypt$15$8$1$hunter2$x\n  carl hunter2\ndora\n" +
                                     "  " + good + "\neve " + good.substr(4) + " senders=eve\n",
                                 "users");
  EXPECT_FALSE(loaded.users);
  const std::string mistakes = mistakesOf(loaded);
  EXPECT_THAT(mistakes, HasSubstr("users:2:5: not a scrypt hash"));
  EXPECT_THAT(mistakes, HasSubstr("users:3:8: expected scrypt$"));
  EXPECT_THAT(mistakes, HasSubstr("users:4:1: \"dora\" has no password"));
  EXPECT_THAT(mistakes, HasSubstr("users:5:3: \"ann\" is in line 1, too"));
  EXPECT_THAT(mistakes, HasSubstr("users:6:"));
  EXPECT_THAT(mistakes, HasSubstr("senders are mailboxes"));
  EXPECT_THAT(mistakes, Not(HasSubstr("hunter2")));
}

TEST(UsersFile, RefusesHashesThatCostTooMuchOrTooLittle) {
  const std::string tail = "$AAAA$" + net::base64Encode(std::string(32, 'x'));
  for (const char* form : {"9$8$1", "19$8$1", "18$16$1", "15$0$1", "15$8$0", "15$8$17", "15$8",
                           "15$8$1$1", "-1$8$1", "x$8$1"}) {
    EXPECT_FALSE(parseUsers("ann scrypt$" + std::string(form) + tail, "users").users) << form;
  }
  EXPECT_TRUE(parseUsers("ann scrypt$14$8$1" + tail, "users").users);
  EXPECT_FALSE(parseUsers("ann scram-sha-256$4095" + tail + tail.substr(5), "users").users);
}

TEST(UsersFile, DoesNotTakeAnEmptyFileForNobody) {
  EXPECT_THAT(mistakesOf(parseUsers("# nobody\n", "users")), HasSubstr("users:1:1: holds no user"));
}

TEST(UsersFile, IsNotToBeReadByOthers) {
  const TestFolder folder;
  const std::string line = usersLine("ann", "secret", {}).value();
  EXPECT_TRUE(readUsers(folder.file("mine", line, 0600)).users);
  EXPECT_THAT(mistakesOf(readUsers(folder.file("all", line, 0644))), HasSubstr("chmod o-rwx"));
  EXPECT_FALSE(readUsers(folder.path() + "/none").users);
}

TEST(UsersFile, HoldsUsersToTheirSenders) {
  EXPECT_TRUE(userWith({}).maySend("anyone@example.net"));
  EXPECT_TRUE(userWith({}).maySend(""));
  const User ann = userWith({"ann@example.com", "@Example.org"});
  EXPECT_TRUE(ann.maySend("ann@EXAMPLE.com"));
  EXPECT_TRUE(ann.maySend("boss@example.org"));
  EXPECT_FALSE(ann.maySend("boss@example.com"));
  EXPECT_FALSE(ann.maySend("ann@sub.example.org"));
  EXPECT_FALSE(ann.maySend("ann@example.org.example.net"));
  EXPECT_FALSE(ann.maySend(""));
  EXPECT_TRUE(userWith({"<>"}).maySend(""));
  EXPECT_FALSE(userWith({"<>"}).maySend("ann@example.com"));
}

TEST(UsersFile, AnswersStrangersLikeUsers) {
  const auto users = parseUsers(usersLine("ann", "secret", {}).value(), "users").users;
  const User& ann = *users->find("ann");
  const auto decoy = users->decoyScram("carl");
  EXPECT_EQ(decoy.iterations, ann.scram->iterations);
  EXPECT_EQ(decoy.salt.size(), ann.scram->salt.size());
  EXPECT_EQ(decoy.salt, users->decoyScram("carl").salt) << "a stranger is known by a changing salt";
  EXPECT_NE(decoy.salt, users->decoyScram("dora").salt);
  EXPECT_EQ(users->decoyPassword().log_cost, ann.password->log_cost);
  EXPECT_FALSE(matches(users->decoyPassword(), "secret"));
}

TEST(UsersFile, WritesNoLineThatCouldNotBeRead) {
  for (const char* name : {"", "a b", "#ann", "a\tb", "a\nb"}) {
    EXPECT_FALSE(usersLine(name, "secret", {}).has_value()) << name;
  }
  EXPECT_FALSE(usersLine("ann", "", {}).has_value());
  EXPECT_FALSE(usersLine("ann", "a\x01z", {}).has_value());
  EXPECT_FALSE(usersLine("ann", "secret", {true, {"ann"}}).has_value());
}

TEST(UsersFile, IsCheckedWithTheConfiguration) {
  const TestFolder folder;
  const std::string users = folder.file("users", "ann secret\n");
  const auto loaded =
      parseConfig("[[receive]]\nauth_plaintext = true\nusers_file = \"" + users + "\"\n", "x.toml",
                  sceneWith());
  EXPECT_THAT(allMistakes(loaded), HasSubstr(users + ":1:5: expected scrypt$"));
  EXPECT_THAT(allMistakes(loaded), Not(HasSubstr("secret")));
}

TEST(UsersFile, HoldsUsersToAuthorsARateAndAQuota) {
  const auto line =
      usersLine("ann", "secret", {false, {}, {"ann@x.test", "@here.test"}, "30/m", 500});
  ASSERT_TRUE(line) << line.error().detail;
  EXPECT_THAT(*line, HasSubstr(" from=ann@x.test,@here.test rate=30/m quota=500"));
  const auto loaded = parseUsers(*line, "users");
  ASSERT_TRUE(loaded.users) << mistakesOf(loaded);
  const User* ann = loaded.users->find("ann");
  EXPECT_TRUE(ann->mayWriteAs("ann@X.test") && ann->mayWriteAs("anyone@here.test"));
  EXPECT_FALSE(ann->mayWriteAs("bob@x.test") || ann->mayWriteAs("ann@here.test.evil"));
  EXPECT_TRUE(ann->maySend("anything@else.test"));
  EXPECT_EQ(ann->rate.count, 30u);
  EXPECT_EQ(ann->rate.per, seconds(60));
  EXPECT_EQ(ann->quota, 500u);
}

TEST(UsersFile, NamesTheMistakeInALimit) {
  const std::string good = usersLine("ann", "secret", {false}).value();
  for (const auto& [word, why] :
       std::vector<std::pair<std::string, std::string>>{{"from=", "from has"},
                                                        {"from=<>", "from has"},
                                                        {"from=here.test", "from has"},
                                                        {"rate=0/m", "rate is"},
                                                        {"rate=30", "rate is"},
                                                        {"rate=", "rate is"},
                                                        {"quota=0", "quota is"},
                                                        {"quota=-1", "quota is"},
                                                        {"quota=1x", "quota is"},
                                                        {"limits=1", "expected"}}) {
    EXPECT_THAT(mistakesOf(parseUsers(good + " " + word, "users")), HasSubstr(why)) << word;
  }
}

}  // namespace
}  // namespace sluice::relay
