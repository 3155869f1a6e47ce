// The commands that talk to a running relay, against an admin server with a Control of the test's.
#include <gmock/gmock.h>
#include <unistd.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "relay/admin/admin_server.h"
#include "relay/cli/commands.h"
#include "tests/unit/relay/admin/fake_control.h"
#include "tests/unit/relay/admin/recording_log.h"

namespace sluice::relay {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;

class AdminCommands : public ::testing::Test {
 protected:
  AdminCommands() {
    unsetenv("SLUICE_ADMIN_TOKEN");
    config_.listen = *Endpoint::parse("127.0.0.1:0");
    start();
  }
  void start() {
    server_.reset();
    auto server = AdminServer::create(config_, control_, registry_, log_);
    ASSERT_TRUE(server) << server.error().detail;
    server_ = std::move(*server);
  }
  // Runs the command as it is installed: the configuration says where the relay is.
  int run(std::vector<std::string> arguments) {
    out_.str("");
    err_.str("");
    CliContext context{out_, err_};
    context.read_config = [this](const std::string&) {
      LoadedConfig loaded;
      loaded.config.admin = config_;
      loaded.config.admin.listen.port = server_ ? server_->port() : 1;
      return loaded;
    };
    std::vector<const char*> all{"sluice"};
    for (const std::string& argument : arguments) all.push_back(argument.c_str());
    constexpr AddCommand kCommands[] = {addQueueCommands};
    return runCli(static_cast<int>(all.size()), all.data(), kCommands, context);
  }
  json printed() { return json::parse(out_.str()); }

  FakeControl control_;
  metrics::Registry registry_;
  RecordingLog log_;
  AdminConfig config_;
  std::unique_ptr<AdminServer> server_;
  std::ostringstream out_;
  std::ostringstream err_;
};

TEST_F(AdminCommands, QueueListsTheFullestFirst) {
  for (int i = 0; i < 1500; ++i) {  // as many as no page of messages holds
    QueueStatus queue;
    queue.destination.destination = "d" + std::to_string(10'000 + i) + ".test";
    queue.destination.state = "idle";
    queue.deferred = static_cast<uint64_t>(i);
    control_.queue_list.push_back(queue);
  }
  EXPECT_EQ(run({"queue"}), 0);
  const std::string table = out_.str();
  EXPECT_THAT(table, HasSubstr("DESTINATION\tCONNECTOR\tSTATE\tREADY\tACTIVE\tDEFERRED"));
  EXPECT_LT(table.find("d11499.test"), table.find("d10001.test"));
  EXPECT_EQ(std::count(table.begin(), table.end(), '\n'), 1501);
  EXPECT_EQ(run({"queue", "--json"}), 0);
  EXPECT_EQ(printed()["items"].size(), 1500u);
  EXPECT_TRUE(printed()["next"].is_null());
  EXPECT_EQ(run({"queue", "--destination", "d10007.test", "--json"}), 0);
  EXPECT_EQ(printed()["items"][0]["deferred"], 7);
  EXPECT_EQ(run({"queue", "--destination", "no.such"}), 1);
  EXPECT_THAT(err_.str(), HasSubstr("no such destination"));
}

TEST_F(AdminCommands, MessagesAreListedShownAndRead) {
  control_.addMessage(1);
  const std::string id = idOf(1).toString();
  EXPECT_EQ(run({"message", "list", "--sender", "<>", "--older-than", "4h"}), 0);
  EXPECT_THAT(out_.str(), HasSubstr(id));
  EXPECT_THAT(out_.str(), HasSubstr("+1"));
  EXPECT_EQ(control_.last_filter.sender, "<>");
  EXPECT_EQ(control_.last_filter.older_than, std::chrono::hours(4));
  EXPECT_EQ(run({"message", "show", id}), 0);
  EXPECT_THAT(out_.str(), HasSubstr("held@example.net"));
  EXPECT_EQ(run({"message", "show", id, "--json"}), 0);
  EXPECT_EQ(printed()["recipients"].size(), 2u);
  EXPECT_EQ(run({"message", "content", id}), 0);
  EXPECT_THAT(out_.str(), HasSubstr("\r\n\r\nhello\r\n"));
  EXPECT_EQ(run({"message", "show", "nothing-like-this"}), 1);
  EXPECT_EQ(out_.str(), "");
}

TEST_F(AdminCommands, ActionsTellHowManyTheyTouched) {
  EXPECT_EQ(run({"bounce", "--destination", "gone.test", "--limit", "5"}), 0);
  EXPECT_EQ(run({"bounce", "--destination", "gone.test"}), 0);
  EXPECT_EQ(out_.str(), "bounce: 2 of 3 messages\n");
  EXPECT_EQ(control_.last_action, MessageAction::Bounce);
  EXPECT_EQ(control_.last_filter.key_or_domain, "gone.test");
  EXPECT_EQ(run({"hold", idOf(1).toString(), idOf(2).toString(), "--json"}), 0);
  EXPECT_EQ(printed(), json({{"matched", 3}, {"changed", 2}}));
  EXPECT_EQ(control_.last_filter.ids.size(), 2u);
}

TEST_F(AdminCommands, EverythingMustBeSaidWhereItHurts) {
  EXPECT_EQ(run({"retry"}), 0);
  EXPECT_EQ(run({"release"}), 0);
  const int before = control_.acts;
  for (const char* name : {"hold", "bounce", "discard"}) {
    EXPECT_EQ(run({name}), kExitUsage);
    EXPECT_EQ(run({name, "--limit", "5"}), kExitUsage);
    EXPECT_EQ(run({name, "--all", "--sender", "x"}), kExitUsage);
    EXPECT_EQ(run({name, idOf(1).toString(), "--all"}), kExitUsage);
  }
  EXPECT_EQ(control_.acts, before);
  EXPECT_EQ(run({"discard", "--all"}), 0);
  EXPECT_EQ(control_.acts, before + 1);
}

TEST_F(AdminCommands, DestinationsAreSuspendedAndResumed) {
  EXPECT_EQ(run({"suspend", "example.net"}), 0);
  EXPECT_EQ(out_.str(), "example.net: suspended\n");
  EXPECT_EQ(control_.last_suspended, true);
  EXPECT_EQ(run({"resume", "example.net"}), 0);
  EXPECT_EQ(control_.last_suspended, false);
  EXPECT_EQ(run({"suspend", "no.such"}), 1);
}

TEST_F(AdminCommands, StatusTellsByItsExitCode) {
  EXPECT_EQ(run({"status"}), 0);
  EXPECT_THAT(out_.str(), HasSubstr("ready"));
  EXPECT_THAT(out_.str(), HasSubstr("still counting"));
  control_.counted = true;
  EXPECT_EQ(run({"status"}), 0);
  EXPECT_THAT(out_.str(), Not(HasSubstr("counting")));
  control_.ready = {false, "no disk"};
  EXPECT_EQ(run({"status", "--json"}), 1);
  server_.reset();
  EXPECT_EQ(run({"status"}), 1);
  EXPECT_THAT(err_.str(), HasSubstr("is the relay running there?"));
}

TEST_F(AdminCommands, ReloadPrintsEveryMistakeOnItsLine) {
  EXPECT_EQ(run({"reload"}), 0);
  control_.error = Error{Errc::InvalidArgument, "a.toml:1:1: one\na.toml:2:1: two"};
  EXPECT_EQ(run({"reload"}), 1);
  EXPECT_EQ(err_.str(), "sluice: a.toml:1:1: one\nsluice: a.toml:2:1: two\n");
}

TEST_F(AdminCommands, TheTokenComesFromTheFlagTheEnvironmentOrTheConfiguration) {
  config_.token = "right";
  start();
  EXPECT_EQ(run({"status"}), 0);
  const std::string url = "http://127.0.0.1:" + std::to_string(server_->port());
  EXPECT_EQ(run({"status", "--admin", url}), 1);  // the configuration's token is for its relay only
  EXPECT_THAT(err_.str(), HasSubstr("Authorization"));
  const std::string path = ::testing::TempDir() + "/token-" + std::to_string(getpid());
  std::ofstream(path) << "right\n";
  EXPECT_EQ(run({"status", "--admin", url, "--token-file", path}), 0);
  setenv("SLUICE_ADMIN_TOKEN", "right", 1);
  EXPECT_EQ(run({"status", "--admin", url}), 0);
  unsetenv("SLUICE_ADMIN_TOKEN");
  unlink(path.c_str());
  EXPECT_EQ(run({"status", "--token-file", path}), 1);
}

TEST_F(AdminCommands, EveryHelpEndsWithAnExample) {
  for (const std::vector<std::string>& command :
       std::vector<std::vector<std::string>>{{"queue"},
                                             {"message"},
                                             {"message", "list"},
                                             {"message", "show"},
                                             {"message", "content"},
                                             {"retry"},
                                             {"hold"},
                                             {"release"},
                                             {"bounce"},
                                             {"discard"},
                                             {"suspend"},
                                             {"resume"},
                                             {"status"},
                                             {"reload"}}) {
    std::vector<std::string> arguments = command;
    arguments.emplace_back("--help");
    EXPECT_EQ(run(arguments), 0) << command.back();
    EXPECT_THAT(out_.str(), HasSubstr("Example: sluice " + command[0])) << command.back();
  }
}

TEST_F(AdminCommands, WrongUsageIsExitCodeTwo) {
  EXPECT_EQ(run({"message", "list", "--state", "odd"}), kExitUsage);
  EXPECT_EQ(run({"message", "list", "--limit", "0"}), kExitUsage);
  EXPECT_EQ(run({"suspend"}), kExitUsage);
  EXPECT_EQ(run({"message"}), kExitUsage);
}

// Somebody else's server on that port is told apart, whatever it says.
TEST(AdminCommandsAbroad, AnAnswerThatIsNotOursIsAnError) {
  for (const char* body :
       {"", "[]", "hello", "{\"items\":5}", "{\"ready\":\"yes\",\"recipients\":[1]}"}) {
    net::HttpServerOptions options;
    options.listen = *Endpoint::parse("127.0.0.1:0");
    const auto server = net::HttpServer::create(
        options, [body](const net::HttpRequest&) { return net::HttpResponse{.body = body}; });
    const std::string url = "http://127.0.0.1:" + std::to_string((*server)->port());
    for (const char* command : {"queue", "status"}) {
      std::ostringstream out, err;
      CliContext context{out, err};
      const char* arguments[] = {"sluice", command, "--admin", url.c_str()};
      constexpr AddCommand kCommands[] = {addQueueCommands};
      EXPECT_EQ(runCli(4, arguments, kCommands, context), 1) << command << body;
    }
  }
}

}  // namespace
}  // namespace sluice::relay
