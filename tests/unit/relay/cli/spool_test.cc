// sluice spool: what it leaves in a folder, and what it refuses.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <vector>

#include "relay/cli/commands.h"
#include "relay/cli/spool_export.h"

namespace sluice::relay {
namespace {

using testing::HasSubstr;
using testing::UnorderedElementsAre;

class Spool : public testing::Test {
 protected:
  Spool() {
    std::string name = (std::filesystem::temp_directory_path() / "sluice-spool-XXXXXX").string();
    folder_ = mkdtemp(name.data());
  }
  ~Spool() override { std::filesystem::remove_all(folder_); }

  std::string text(const std::string& path) const {
    std::ostringstream out;
    out << std::ifstream(path).rdbuf();
    return out.str();
  }

  std::vector<std::string> names(const std::string& folder) const {
    std::vector<std::string> found;
    for (const auto& each : std::filesystem::directory_iterator(folder)) {
      found.push_back(each.path().filename());
    }
    return found;
  }

  // Runs `sluice spool ...`; gives the exit code.
  int run(std::vector<const char*> arguments) {
    CliContext context{out_, err_};
    std::vector<const char*> all{"sluice", "spool"};
    all.insert(all.end(), arguments.begin(), arguments.end());
    constexpr AddCommand kCommands[] = {addSpoolCommand};
    return runCli(static_cast<int>(all.size()), all.data(), kCommands, context);
  }

  std::string folder_;
  std::ostringstream out_, err_;
};

queue::SpoolMessage message(const std::string& reverse_path = "a@example.com") {
  queue::Envelope envelope;
  envelope.reverse_path = reverse_path;
  envelope.recipients = {{"done@example.net", {}, ""},
                         {"left@example.net", {true, false, true, true, false}, "rfc822;x"}};
  queue::SpoolMessage out;
  out.id = queue::MessageId::fromBytes("0123456789abcdef");
  out.envelope = std::make_shared<const queue::Envelope>(envelope);
  out.recipients = {{"left@example.net", "example.net", queue::RecipientState::Deferred, {}, {}}};
  out.content = "Subject: x\r\n\r\nhi\r\n";
  return out;
}

TEST_F(Spool, AMessageIsItsContentAndItsEnvelope) {
  const std::string target = folder_ + "/out";
  auto into = SpoolExport::create(target);
  ASSERT_TRUE(into);
  into->write(message());
  EXPECT_EQ(*into->finish(), 1u);
  const std::string id = message().id.toString();
  EXPECT_THAT(names(target), UnorderedElementsAre(id + ".eml", id + ".json"));
  EXPECT_EQ(text(target + "/" + id + ".eml"), "Subject: x\r\n\r\nhi\r\n");
  const auto envelope = nlohmann::json::parse(text(target + "/" + id + ".json"));
  EXPECT_EQ(envelope["sender"], "a@example.com");
  ASSERT_EQ(envelope["recipients"].size(), 1u);  // who has it already is not asked again
  EXPECT_EQ(envelope["recipients"][0]["recipient"], "left@example.net");
  EXPECT_EQ(envelope["recipients"][0]["notify"], "SUCCESS,FAILURE");
  EXPECT_EQ(envelope["recipients"][0]["orcpt"], "rfc822;x");
  EXPECT_EQ(envelope["recipients"][0]["state"], "deferred");
}

TEST_F(Spool, NobodyElseCanReadWhatIsExported) {
  const std::string target = folder_ + "/out";
  auto into = SpoolExport::create(target);
  into->write(message());
  struct stat status {};
  ASSERT_EQ(stat(target.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0700u);
  ASSERT_EQ(stat((target + "/" + message().id.toString() + ".eml").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
}

TEST_F(Spool, AMessageThatIsNotWholeIsNoEml) {
  auto into = SpoolExport::create(folder_ + "/out");
  auto cut = message();
  cut.content_whole = false;
  into->write(cut);
  EXPECT_EQ(*into->finish(), 0u);
  const std::string id = cut.id.toString();
  EXPECT_THAT(names(folder_ + "/out"), UnorderedElementsAre(id + ".partial", id + ".json"));
}

TEST_F(Spool, BytesThatAreNoUtf8StillGiveAnEnvelope) {
  const auto envelope = nlohmann::json::parse(envelopeJson(message("\xff\xfe@example.com")));
  EXPECT_THAT(envelope["sender"].get<std::string>(), HasSubstr("@example.com"));
  EXPECT_EQ(nlohmann::json::parse(envelopeJson(message("")))["sender"], "<>");
}

TEST_F(Spool, NothingIsWrittenOver) {
  std::ofstream(folder_ + "/mine") << "x";
  EXPECT_EQ(SpoolExport::create(folder_).error().code, Errc::Exists);
  EXPECT_EQ(run({"export", folder_.c_str(), "--data-dir", folder_.c_str()}), 1);
  EXPECT_THAT(err_.str(), HasSubstr("is not empty"));
}

TEST_F(Spool, AFolderThatCannotBeWrittenIsTold) {
  auto into = SpoolExport::create(folder_ + "/out");
  std::filesystem::remove(folder_ + "/out");
  into->write(message());
  const auto finished = into->finish();
  ASSERT_FALSE(finished);
  EXPECT_THAT(finished.error().detail, HasSubstr("cannot write"));
}

TEST_F(Spool, AQueueThatIsNotThereIsAFailure) {
  EXPECT_EQ(run({"check", "--data-dir", folder_.c_str()}), 1);
  EXPECT_THAT(err_.str(), HasSubstr("no queue in " + folder_));
}

TEST_F(Spool, AQueueInUseIsLeftAlone) {
  const int lock = ::open((folder_ + "/lock").c_str(), O_RDWR | O_CREAT, 0600);
  ASSERT_EQ(::flock(lock, LOCK_EX | LOCK_NB), 0);
  const std::string target = folder_ + "/out";
  EXPECT_EQ(run({"export", target.c_str(), "--data-dir", folder_.c_str()}), 1);
  EXPECT_EQ(run({"check", "--data-dir", folder_.c_str()}), 1);
  ::close(lock);
  EXPECT_THAT(err_.str(), HasSubstr("in use by a running relay"));
  EXPECT_FALSE(std::filesystem::exists(target));
}

TEST_F(Spool, WrongUsageIsTwo) {
  EXPECT_EQ(run({}), 2);
  EXPECT_EQ(run({"export"}), 2);
  EXPECT_EQ(run({"check", "stray"}), 2);
}

}  // namespace
}  // namespace sluice::relay
