#include "relay/log/event_log.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

namespace sluice::relay {
namespace {

using nlohmann::json;

// A pipe whose reading end a test reads, or does not.
struct Pipe {
  Pipe() { EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0); }
  ~Pipe() {
    closeReader();
    closeWriter();
  }
  void closeReader() { closeEnd(0); }
  void closeWriter() { closeEnd(1); }
  std::string readAll() {
    std::string all;
    char bytes[65536];
    for (ssize_t got; (got = read(ends[0], bytes, sizeof bytes)) > 0;) {
      all.append(bytes, static_cast<size_t>(got));
    }
    return all;
  }
  int ends[2]{-1, -1};

 private:
  void closeEnd(int which) {
    if (ends[which] >= 0) close(ends[which]);
    ends[which] = -1;
  }
};

std::vector<json> parsed(const std::string& text) {
  std::vector<json> events;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) events.push_back(json::parse(line));
  return events;
}

LogEvent numbered(int64_t number, int64_t thread = 0) {
  return {LogLevel::Info, "x", {{"thread", thread}, {"n", number}}};
}

// What a file holds after a log wrote one event behind `before`.
std::string afterOneEvent(std::string_view before) {
  char path[] = "/tmp/sluice-log-XXXXXX";
  const int file = mkstemp(path);
  EXPECT_EQ(write(file, before.data(), before.size()), static_cast<ssize_t>(before.size()));
  close(file);
  const int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
  EventLog::create({.fd = fd})->log(numbered(1));
  close(fd);
  std::ifstream stream(path);
  unlink(path);
  return {std::istreambuf_iterator<char>(stream), {}};
}

TEST(EventLog, BeginsALineOfItsOwnBehindOneThatAKillToreApart) {
  EXPECT_THAT(afterOneEvent("{\"time\":\"20"), testing::StartsWith("{\"time\":\"20\n{\"time\""));
  EXPECT_THAT(afterOneEvent("whole\n"), testing::StartsWith("whole\n{\"time\""));
  EXPECT_THAT(afterOneEvent(""), testing::StartsWith("{\"time\""));
}

TEST(EventLog, DestructionWritesWhatWaits) {
  Pipe pipe;
  auto log = EventLog::create({.fd = pipe.ends[1]});
  for (int64_t i = 0; i < 100; ++i) log->log(numbered(i));
  log.reset();
  pipe.closeWriter();
  const auto events = parsed(pipe.readAll());
  ASSERT_EQ(events.size(), 100u);
  EXPECT_EQ(events[99]["n"], 99);
}

TEST(EventLog, FlushWaitsUntilLinesAreWritten) {
  Pipe pipe;
  const auto log = EventLog::create({.fd = pipe.ends[1]});
  for (int round = 0; round < 20; ++round) {
    log->message({.event = "accepted", .id = std::to_string(round)});
    log->flush();
    char bytes[4096];
    const ssize_t got = read(pipe.ends[0], bytes, sizeof bytes);  // would hang if nothing was there
    ASSERT_GT(got, 0);
    EXPECT_EQ(json::parse(std::string(bytes, static_cast<size_t>(got)))["id"],
              std::to_string(round));
  }
}

TEST(EventLog, ALineComesWithoutFlushing) {
  Pipe pipe;
  const auto log = EventLog::create({.fd = pipe.ends[1]});
  char bytes[4096];
  log->log(numbered(1));
  EXPECT_GT(read(pipe.ends[0], bytes, sizeof bytes), 0);
}

TEST(EventLog, EventsOfEachThreadKeepTheirOrderAndNoneIsLost) {
  constexpr int64_t kThreads = 4;
  constexpr int64_t kEach = 5000;
  Pipe pipe;
  std::string text;
  std::thread reader([&] { text = pipe.readAll(); });
  {
    const auto log = EventLog::create({.fd = pipe.ends[1]});
    std::vector<std::thread> threads;
    for (int64_t t = 0; t < kThreads; ++t) {
      threads.emplace_back([&log, t] {
        for (int64_t i = 0; i < kEach; ++i) log->log(numbered(i, t));
      });
    }
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(log->dropped(), 0u);
  }
  pipe.closeWriter();
  reader.join();
  std::vector<int64_t> next(kThreads, 0);
  for (const json& event : parsed(text)) {
    EXPECT_EQ(event["n"], next[event["thread"].get<size_t>()]++);
  }
  EXPECT_THAT(next, ::testing::Each(kEach));
}

TEST(EventLog, AReaderThatTakesNothingCostsEventsButNeverStalls) {
  Pipe pipe;
  auto log = EventLog::create({.fd = pipe.ends[1]});
  const std::string padding(1000, 'x');
  constexpr int64_t kEvents = 5000;  // 5 MB: far beyond the pipe and a buffer
  for (int64_t i = 0; i < kEvents; ++i) {
    log->log({LogLevel::Info, "x", {{"n", i}, {"padding", padding}}});
  }
  EXPECT_GT(log->dropped(), 1000u);
  const uint64_t dropped = log->dropped();
  std::thread destroyer([&] { log.reset(); });
  std::string text;
  std::thread reader([&] { text = pipe.readAll(); });
  destroyer.join();
  pipe.closeWriter();
  reader.join();
  const auto events = parsed(text);  // every line is whole
  uint64_t seen = 0;
  uint64_t told = 0;
  for (const json& event : events) {
    if (event["event"] == "log_dropped") told += event["events"].get<uint64_t>();
    if (event["event"] == "x") ++seen;
  }
  EXPECT_EQ(seen + dropped, static_cast<uint64_t>(kEvents));
  EXPECT_EQ(told, dropped);
}

TEST(EventLog, StopsInTimeAlthoughNobodyEverReads) {
  Pipe pipe;
  auto log = EventLog::create({.fd = pipe.ends[1]});
  const std::string padding(1000, 'x');
  for (int i = 0; i < 500; ++i) log->log({LogLevel::Info, "x", {{"padding", padding}}});
  const auto begun = std::chrono::steady_clock::now();
  log.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(10));
}

TEST(EventLog, AClosedReaderIsSurvivedAndCounted) {
  Pipe pipe;
  const auto log = EventLog::create({.fd = pipe.ends[1]});
  pipe.closeReader();
  for (int64_t i = 0; i < 10; ++i) {
    log->log(numbered(i));
    if (i % 3 == 0) log->flush();  // the note of the hole is lost too, and is no event
  }
  log->flush();
  EXPECT_EQ(log->dropped(), 10u);
}

TEST(EventLog, WritesToASocketToo) {
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
  {
    const auto log = EventLog::create({.json = false, .fd = ends[1]});
    log->log({LogLevel::Warn, "hello", {}});
    log->flush();
  }
  char bytes[4096];
  const ssize_t got = read(ends[0], bytes, sizeof bytes);
  ASSERT_GT(got, 0);
  EXPECT_THAT(std::string(bytes, static_cast<size_t>(got)), ::testing::EndsWith(" warn hello\n"));
  close(ends[0]);
  close(ends[1]);
}

TEST(EventLog, LevelCanBeChangedWhileItRuns) {
  Pipe pipe;
  auto log = EventLog::create({.level = LogLevel::Warn, .fd = pipe.ends[1]});
  log->log({LogLevel::Info, "unwanted", {}});
  log->message({.event = "accepted"});
  log->log({LogLevel::Error, "wanted", {}});
  log->setLevel(LogLevel::Debug);
  log->log({LogLevel::Debug, "also", {}});
  log.reset();
  pipe.closeWriter();
  const auto events = parsed(pipe.readAll());
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(events[0]["event"], "wanted");
  EXPECT_EQ(events[1]["event"], "also");
}

TEST(EventLog, ACauseThatRepeatsIsOneLineASecond) {
  Pipe pipe;
  std::string text;
  std::thread reader([&] { text = pipe.readAll(); });
  auto log = EventLog::create({.fd = pipe.ends[1]});
  for (int i = 0; i < 1000; ++i) log->logLimited("full", {LogLevel::Warn, "shed", {}});
  for (int i = 0; i < 5000; ++i) {  // more causes than are remembered
    log->logLimited("peer " + std::to_string(i), {LogLevel::Warn, "peer", {}});
  }
  log.reset();
  pipe.closeWriter();
  reader.join();
  int shed = 0;
  int peers = 0;
  for (const json& event : parsed(text)) {
    shed += event["event"] == "shed" ? 1 : 0;
    peers += event["event"] == "peer" ? 1 : 0;
  }
  EXPECT_LE(shed, 2);
  EXPECT_GE(peers, 900);
  EXPECT_LE(peers, 1010);
}

}  // namespace
}  // namespace sluice::relay
