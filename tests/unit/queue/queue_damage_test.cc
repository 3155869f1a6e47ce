// What the queue does with damaged files, foreign locks and versions it does not know.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rocksdb/db.h>
#include <sys/stat.h>

#include <fstream>
#include <random>

#include "queue/record.h"
#include "queue/spool_check.h"
#include "queue/store.h"
#include "tests/unit/queue/queue_fixture.h"

namespace sluice::queue::test {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
namespace fs = std::filesystem;

std::vector<fs::path> filesIn(const std::string& directory, const std::string& ending) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(directory))
    if (entry.path().extension() == ending) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

void flipByte(const fs::path& path, size_t at) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(static_cast<std::streamoff>(at));
  const char byte = static_cast<char>(file.get() ^ 0x40);
  file.seekp(static_cast<std::streamoff>(at));
  file.put(byte);
}

// Offset of `text` in a file, not before `from`; or npos.
size_t find(const fs::path& path, const std::string& text, size_t from = 0) {
  std::ifstream file(path, std::ios::binary);
  const std::string all((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  return all.find(text, from);
}

class DamagedQueue : public ::testing::Test {
 protected:
  // Messages in table files, not only in the log: closed and opened again, their log is replayed
  // into tables.
  void fill(int count) {
    queue.start();
    for (int i = 0; i < count; ++i) {
      auto content = "content " + std::to_string(i) + "\r\n" + std::string(3000, 'x');
      const auto id = queue.accept({"a" + std::to_string(i) + "@x.test"}, content, 0,
                                   "sender" + std::to_string(i) + "@example.com");
      ASSERT_TRUE(id);
      ids.push_back(*id);
    }
    queue.restart();
    queue.stop();
  }
  // Delivers all that can be; the contents' first lines.
  std::set<std::string> drain() {
    std::set<std::string> contents;
    while (auto work = queue.take("x.test", 0, 300ms)) {
      const auto content = queue.deliver(*work);
      auto settlements = QueueHarness::all(*work, content ? Settlement{} : queue.deferred(1h));
      if (content) contents.insert(content->substr(0, content->find('\r')));
      queue.settle(std::move(work), std::move(settlements));
    }
    return contents;
  }
  // Flips a byte where `text` is stored; false if no file has it.
  bool damage(const std::string& text, const std::string& ending) {
    for (const auto& path : filesIn(queue.databasePath(), ending)) {
      const size_t at = find(path, text);
      if (at == std::string::npos) continue;
      flipByte(path, at);
      return true;
    }
    return false;
  }
  QueueHarness queue;
  std::vector<MessageId> ids;
};

TEST_F(DamagedQueue, SetsAsideAMessageWhoseContentIsDamaged) {
  fill(20);
  ASSERT_TRUE(damage("content 7\r\n", ".blob"));
  queue.start();
  const auto contents = drain();
  EXPECT_THAT(contents, SizeIs(19));
  EXPECT_FALSE(contents.contains("content 7"));
  const auto events = queue.events(StoreEvent::What::Quarantined);
  ASSERT_THAT(events, SizeIs(1));
  EXPECT_EQ(events[0].id, ids[7].toString());
  EXPECT_EQ(queue.queue->health().quarantined_messages, 1u);
  EXPECT_EQ(queue.queue->health().messages, 1u);  // neither delivered nor dropped
  queue.restart();
  queue.clock.advance(2h);
  EXPECT_THAT(drain(), IsEmpty());
  EXPECT_EQ(queue.queue->health().quarantined_messages, 1u);
  EXPECT_EQ(queue.queue->health().messages, 1u);
  EXPECT_TRUE(queue.accept({"a@x.test"}, "new"));
}

TEST_F(DamagedQueue, TriesADamagedMessageAgainWhenToldTo) {
  fill(3);
  ASSERT_TRUE(damage("content 1\r\n", ".blob"));
  queue.start();
  EXPECT_THAT(drain(), SizeIs(2));
  queue.clock.advance(2h);
  ASSERT_TRUE(eventually([&] { return queue.status("x.test").held == 1; }));
  for (const auto& path : filesIn(queue.databasePath(), ".blob")) {
    const size_t at = find(path, "#ontent 1\r\n");
    if (at != std::string::npos) flipByte(path, at);  // the operator has brought it back
  }
  queue.restart();
  EXPECT_EQ(queue.act(Action::Retry, {}).changed, 1u);
  EXPECT_THAT(drain(), SizeIs(1));
  EXPECT_EQ(queue.queue->health().quarantined_messages, 0u);
  EXPECT_TRUE(eventually([&] { return queue.queue->health().messages == 0; }));
  queue.restart();
  EXPECT_EQ(queue.queue->health().quarantined_messages, 0u);
  EXPECT_EQ(queue.on(0, [](ShardQueue& face) { return face.status().size(); }), 0u);
}

TEST_F(DamagedQueue, SetsAsideTheMessagesWhoseEnvelopesAreDamagedAndDeliversTheRest) {
  fill(300);
  ASSERT_TRUE(damage("sender150@example.com", ".sst"));
  queue.start();
  const auto contents = drain();
  const size_t hit = queue.events(StoreEvent::What::Quarantined).size();
  EXPECT_GE(hit, 1u);
  EXPECT_LE(hit, 100u);  // one block
  EXPECT_EQ(contents.size() + hit, 300u);
  EXPECT_FALSE(contents.contains("content 150"));
  EXPECT_EQ(queue.queue->health().quarantined_messages, hit);
  EXPECT_EQ(queue.queue->health().messages, hit);
  EXPECT_TRUE(queue.accept({"a@x.test"}, "new"));
  EXPECT_THAT(drain(), SizeIs(1));
}

TEST_F(DamagedQueue, RemovesByItsIdWhatCannotBeRead) {
  fill(300);
  ASSERT_TRUE(damage("sender150@example.com", ".sst"));
  queue.start();
  drain();
  const auto events = queue.events(StoreEvent::What::Quarantined);
  MessageFilter filter;
  for (const auto& event : events) filter.ids.push_back(*MessageId::parse(event.id));
  int given = 0;
  const auto result = queue.act(Action::Remove, filter, [&](std::unique_ptr<Work>) { ++given; });
  EXPECT_EQ(given, 0);
  EXPECT_EQ(result.changed, events.size());
  EXPECT_EQ(queue.queue->health().quarantined_messages, 0u);
  EXPECT_GE(queue.events(StoreEvent::What::Damaged).size(), events.size());
  queue.restart();
  EXPECT_THAT(drain(), IsEmpty());
  EXPECT_EQ(queue.queue->health().quarantined_messages, 0u);
  EXPECT_TRUE(eventually(
      [&] { return queue.on(0, [](ShardQueue& face) { return face.status().size(); }) == 0; }));
}

TEST_F(DamagedQueue, WritesADamagedScheduleAnew) {
  fill(300);
  // The schedule is the family whose tables hold the key behind the lane.
  bool hit = false;
  for (const auto& path : filesIn(queue.databasePath(), ".sst")) {
    const size_t at = find(path, std::string("\0x.test", 7));
    if (at == std::string::npos) continue;
    flipByte(path, at + 3);
    hit = true;
    break;
  }
  ASSERT_TRUE(hit);
  queue.start();
  EXPECT_THAT(queue.events(StoreEvent::What::Damaged), Not(IsEmpty()));
  EXPECT_THAT(drain(), SizeIs(300));
  queue.restart();
  EXPECT_EQ(queue.queue->health().messages, 0u);
}

TEST_F(DamagedQueue, TakesMailBeforeItHasFoundThatTheScheduleIsDamaged) {
  fill(300);
  bool hit = false;
  for (const auto& path : filesIn(queue.databasePath(), ".sst")) {
    const size_t at = find(path, std::string("\0x.test", 7), fs::file_size(path) / 3);
    if (at == std::string::npos) continue;
    flipByte(path, at + 3);
    hit = true;
  }
  ASSERT_TRUE(hit);
  queue.start(false);
  EXPECT_THAT(queue.events(StoreEvent::What::Damaged), IsEmpty());
  for (int i = 0; i < 3; ++i) {
    const std::string content = "new " + std::to_string(i) + "\r\n";
    ASSERT_TRUE(queue.accept({"b@x.test"}, content));
    ASSERT_TRUE(queue.accept({"b@y.test"}, content));
  }
  queue.queue->startRecovery();
  ASSERT_TRUE(eventually([&] { return queue.queue->health().walk_complete; }));
  EXPECT_THAT(queue.events(StoreEvent::What::Damaged), Not(IsEmpty()));
  EXPECT_TRUE(eventually([&] { return queue.queue->health().messages == 306u; }));
  EXPECT_THAT(drain(), SizeIs(303));
  EXPECT_EQ(queue.status("x.test").ready, 0u);
  EXPECT_EQ(queue.status("y.test").ready, 3u);
  queue.restart();
  EXPECT_EQ(queue.queue->health().messages, 3u);
}

// Wherever in a table file it is: the start succeeds, and each message is delivered or named.
TEST_F(DamagedQueue, AccountsForEveryMessageAfterAFlipAnywhere) {
  const unsigned seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  fill(60);
  const fs::path copy = queue.options.directory + ".copy";
  fs::copy(queue.options.directory, copy, fs::copy_options::recursive);
  for (int round = 0; round < 12; ++round) {
    fs::remove_all(queue.options.directory);
    fs::copy(copy, queue.options.directory, fs::copy_options::recursive);
    const auto files = filesIn(queue.databasePath(), ".sst");
    const auto& hit = files[static_cast<size_t>(round) % files.size()];
    const size_t at = random() % fs::file_size(hit);
    SCOPED_TRACE(hit.filename().string() + " at " + std::to_string(at));
    flipByte(hit, at);
    queue.start();
    const auto delivered = drain();
    const auto health = queue.queue->health();
    EXPECT_EQ(delivered.size() + health.quarantined_messages, 60u);
    EXPECT_EQ(health.messages, health.quarantined_messages);
    EXPECT_TRUE(queue.accept({"new@y.test"}, "new"));
    queue.stop();
  }
  fs::remove_all(copy);
}

TEST_F(DamagedQueue, LosesNothingBeforeATornEndOfTheLog) {
  const unsigned seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  for (int round = 0; round < 10; ++round) {
    QueueHarness torn;
    torn.start();
    std::vector<MessageId> accepted;
    for (int i = 0; i < 60; ++i)
      accepted.push_back(*torn.accept({"a@x.test"}, "message " + std::to_string(i)));
    torn.die();
    const auto logs = filesIn(torn.databasePath(), ".log");
    ASSERT_THAT(logs, Not(IsEmpty()));
    const auto size = fs::file_size(logs.back());
    const auto cut = 1 + random() % std::min<uintmax_t>(4096, size - 1);
    fs::resize_file(logs.back(), size - cut);
    torn.start();
    std::set<std::string> left;
    for (const auto& item : torn.list({}, {}, 1000).items) left.insert(item.id.toString());
    // The log is a sequence: what is left is its beginning.
    ASSERT_GE(left.size(), 60 - 1 - cut / 100);  // no message takes fewer bytes
    for (size_t i = 0; i < left.size(); ++i)
      EXPECT_TRUE(left.contains(accepted[i].toString())) << i;
    if (left.size() < 60) {
      const auto health = torn.queue->health();
      EXPECT_LE(health.recovery_dropped_bytes, 4096u + 400u);
      EXPECT_THAT(torn.events(StoreEvent::What::RecoveryDropped),
                  SizeIs(health.recovery_dropped_bytes > 0 ? 1 : 0));
    }
    EXPECT_TRUE(torn.accept({"a@x.test"}, "new"));
  }
}

TEST_F(DamagedQueue, SaysHowMuchOfTheLogWasCutOff) {
  queue.start();
  ASSERT_TRUE(queue.accept({"a@x.test"}, std::string(2000, 'x')));
  queue.die();
  const auto log = filesIn(queue.databasePath(), ".log").back();
  fs::resize_file(log, fs::file_size(log) - 50);
  queue.start();
  EXPECT_GT(queue.queue->health().recovery_dropped_bytes, 1000u);
  EXPECT_EQ(queue.metrics->recovery_dropped_bytes.value(),
            static_cast<int64_t>(queue.queue->health().recovery_dropped_bytes));
  EXPECT_THAT(queue.events(StoreEvent::What::RecoveryDropped), SizeIs(1));
}

TEST_F(DamagedQueue, IsLookedThroughOfflineWithoutBeingChanged) {
  queue.start();
  for (int i = 0; i < 30; ++i)
    ASSERT_TRUE(queue.accept({"a@x.test", "b@y.test"}, "content " + std::to_string(i)));
  auto work = queue.take("x.test");
  queue.settle(std::move(work), {queue.deferred(1h)});
  work = queue.take("y.test");
  queue.settle(std::move(work), {{1, Settlement::What::Ended}});
  const std::string large(700'000, 'y');
  ASSERT_TRUE(queue.accept({"c@z.test"}, large));
  queue.die();
  for (int round = 0; round < 2; ++round) {
    std::vector<SpoolMessage> seen;
    const auto report = checkSpool(queue.options.directory,
                                   [&](const SpoolMessage& message) { seen.push_back(message); });
    ASSERT_TRUE(report) << report.error().detail;
    EXPECT_EQ(report->messages, 31u);
    EXPECT_EQ(report->recipients, 60u);
    EXPECT_EQ(report->damaged_messages, 0u);
    EXPECT_EQ(report->problem_count, 0u) << report->problems[0].detail;
    ASSERT_THAT(seen, SizeIs(31));
    EXPECT_EQ(seen[3].content, "content 3");
    EXPECT_EQ(seen[30].content, large);
    ASSERT_THAT(seen[0].recipients, SizeIs(1));
    EXPECT_EQ(seen[0].recipients[0].state, RecipientState::Deferred);
    EXPECT_EQ(seen[0].recipients[0].attempts.last_reply, "451 later");
  }
  EXPECT_FALSE(checkSpool("/nonexistent", nullptr));
}

TEST_F(DamagedQueue, GivesOutWhatCanStillBeReadOfIt) {
  fill(300);
  ASSERT_TRUE(damage("sender150@example.com", ".sst"));
  ASSERT_TRUE(damage("content 7\r\n", ".blob"));
  size_t whole = 0, cut = 0;
  const auto report = checkSpool(queue.databasePath(), [&](const SpoolMessage& message) {
    ++(message.content_whole ? whole : cut);
  });
  ASSERT_TRUE(report) << report.error().detail;
  EXPECT_EQ(cut, 1u);
  EXPECT_EQ(report->messages, whole);
  EXPECT_EQ(report->messages + report->damaged_messages, 300u);
  EXPECT_GE(report->problem_count, 2u);
}

TEST_F(DamagedQueue, RemovesWhatWasLeftHalfReceived) {
  queue.start();
  queue.stop();
  {
    const auto store = Store::open(queue.options);
    ASSERT_TRUE(store);
    ManualClock clock;
    const MessageId id = MessageIdSource(0, 1, clock).next();
    auto* db = (*store)->db();
    db->Put({}, (*store)->family(Family::Partial), sliceOf(id.bytes()), "");
    for (uint32_t i = 0; i < 3; ++i)
      db->Put({}, (*store)->family(Family::Content), contentKey(id, i), "half");
  }
  queue.start();
  queue.stop();
  const auto store = Store::open(queue.options);
  for (const auto family : {Family::Partial, Family::Content}) {
    const std::unique_ptr<rocksdb::Iterator> at(
        (*store)->db()->NewIterator({}, (*store)->family(family)));
    at->SeekToFirst();
    EXPECT_FALSE(at->Valid());
  }
}

TEST_F(DamagedQueue, NamesTheLockThatAnotherProcessHolds) {
  queue.start();
  QueueHarness second;
  second.options.directory = queue.options.directory;
  const auto refused = second.tryStart();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::Exists);
  EXPECT_THAT(refused.error().detail, HasSubstr(queue.options.directory + "/lock"));
  EXPECT_THAT(refused.error().detail, HasSubstr(std::to_string(::getpid())));
  EXPECT_TRUE(queue.accept({"a@x.test"}, "the first lives on"));
}

TEST_F(DamagedQueue, RefusesAFormatOfTheFuture) {
  queue.start();
  queue.stop();
  {
    const auto store = Store::open(queue.options);
    (*store)->db()->Put({}, "format", "99");  // the default family is the anchor
  }
  const auto refused = queue.tryStart();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::Unsupported);
  EXPECT_THAT(refused.error().detail, HasSubstr("99"));
}

TEST_F(DamagedQueue, FoundsNoEmptyQueueWhereFilesOfOneLie) {
  fill(3);
  fs::remove(queue.databasePath() + "/CURRENT");
  const auto refused = queue.tryStart();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::Corrupt);
  EXPECT_THAT(filesIn(queue.databasePath(), ".sst"), Not(IsEmpty()));
}

TEST_F(DamagedQueue, BeginsAgainWhereAFoundingWasCutOff) {
  fs::create_directories(queue.databasePath() + ".founding");
  std::ofstream(queue.databasePath() + ".founding/MANIFEST-000001") << "half";
  queue.start();
  EXPECT_TRUE(queue.accept({"a@x.test"}, "new"));
}

TEST_F(DamagedQueue, KeepsMailFromOtherUsersEyes) {
  queue.start();
  ASSERT_TRUE(queue.accept({"a@x.test"}, "secret"));
  for (const auto& entry : fs::recursive_directory_iterator(queue.options.directory)) {
    struct stat info {};
    ASSERT_EQ(::stat(entry.path().c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 077, 0u) << entry.path();
  }
}

}  // namespace
}  // namespace sluice::queue::test
