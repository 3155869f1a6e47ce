// The queue of one shard: the messages that are loaded, a KeyQueue for each key with work, the
// timer for what is due, and the steps and reads under way.
//
// All on the loop's thread. The parts, by file: shard_queue.cc (places and counts),
// shard_accept.cc, shard_delivery.cc, shard_scan.cc (from disk to window), shard_admin.cc (list,
// act, sweep).
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <unordered_map>
#include <vector>

#include "net/deadlines.h"
#include "queue/due_heap.h"
#include "queue/key_queue.h"
#include "queue/queue.h"
#include "queue/queue_clock.h"
#include "queue/queue_context.h"
#include "queue/queued_message.h"
#include "queue/recovery.h"
#include "queue/settlement.h"

namespace sluice::queue {

class IncomingMessage;
class QueuedContent;
class QueuedWork;

class ShardQueueImpl final : public ShardQueue {
 public:
  ShardQueueImpl(QueueContext& context, size_t index, net::Loop& loop, std::vector<uint8_t> lanes,
                 uint32_t start_number);
  ~ShardQueueImpl() override;

  void setListener(QueueListener& listener) { listener_ = &listener; }
  void start();  // on the loop
  bool owns(const MessageId& id) const { return id.lane() % context_.shards == index_; }
  net::Loop& loop() { return loop_; }
  bool isTracking() const { return context_.options.tracking.enabled; }
  // From the walk at the start, on the loop.
  void onWalked(std::vector<WalkedKey> keys);
  void onMessagesCounted(const std::vector<WallTime>& accepted) {
    for (const WallTime time : accepted) metrics_.addMessages(time, 1);
  }
  void onWalkComplete();

  std::unique_ptr<Incoming> newIncoming(uint64_t expected_bytes) override;
  Result<void> mayAccept(uint64_t expected_bytes) const override;
  void commit(std::unique_ptr<Incoming> incoming, Envelope envelope, std::vector<Group> groups,
              UniqueFunction<void(Result<void>)> done) override;
  void submit(NewMessage message, UniqueFunction<void(Result<MessageId>)> done) override;
  std::unique_ptr<Work> take(const QueueKey& key) override;
  std::vector<QueueKey> readyKeys() const override;
  uint64_t readyGroups(const QueueKey& key) const override;
  void settle(std::unique_ptr<Work> work, std::vector<Settlement> settlements,
              std::vector<NewMessage> notices, Task done) override;
  void sweepOverdue(const QueueKey& key, WallTime notice_before, WallTime expire_before) override;
  std::vector<KeyStatus> status() const override;
  void list(MessageFilter filter, std::optional<MessageId> after, size_t limit,
            UniqueFunction<void(Result<MessagePage>)> done) override;
  void readContent(const MessageId& id, UniqueFunction<void(Result<ByteChain>)> done) override;
  void act(Action action, MessageFilter filter, UniqueFunction<void(std::unique_ptr<Work>)> each,
           UniqueFunction<void(Result<ActionResult>)> done) override;

  // For tests and health.
  size_t loadedMessages() const { return loaded_.size(); }
  size_t keyCount() const { return keys_.size(); }

 private:
  friend class IncomingMessage;
  friend class QueuedWork;
  friend class QueuedContent;
  struct PendingAccept;
  struct Doubt;
  struct Search;
  struct Listing;
  struct Acting;
  static constexpr std::chrono::milliseconds kReliefEvery{20};
  static constexpr std::chrono::milliseconds kNoteWithin{5000};  // a refusal

  // shard_queue.cc: who is where.
  KeyQueue& keyQueue(const QueueKey& key);
  void eraseIfIdle(KeyQueue& queue);
  QueuedMessage* findLoaded(const MessageId& id);
  QueuedGroup& attach(QueuedMessage& message, GroupForm form, GroupId id, uint16_t origin);
  void detach(QueuedGroup& group);  // from its key, not from its message
  QueuedMessage& adopt(StoredMessage stored);
  void unloadIfDone(QueuedMessage& message);
  void releaseLingering();
  void dropContent(QueuedMessage& message);
  void setQuarantined(QueuedMessage& message, bool quarantined);
  Tally& tallyOf(QueuedGroup& group);
  void count(QueuedGroup& group, int64_t sign);
  void leave(QueuedGroup& group);  // its place; its numbers go down
  void toWindow(QueuedGroup& group, bool front);
  void toDisk(QueuedGroup& group);
  void toActive(QueuedGroup& group);
  void placeReadyOrWaiting(QueuedGroup& group);
  bool mayJoinWindow(const KeyQueue& queue) const;
  void notifyReady(KeyQueue& queue);
  void flushNotifications();
  void startDueScans();
  void onTick();
  void armTick();
  void later(Task task) { retries_.push_back(std::move(task)); }
  void changed(QueuedMessage& message) { message.changed = serial_; }

  // shard_accept.cc
  Result<void> checkGroups(const Envelope& envelope, std::vector<Group>& groups) const;
  QueuedMessage& prepareAccept(Step& step, const MessageId& id, Envelope envelope,
                               std::vector<Group> groups, uint32_t early_chunks,
                               std::vector<Slice> content, const Origin& origin);
  void trackAccepted(Tracks& tracks, const QueuedMessage& message, const Origin& origin) const;
  void submitAccept(std::unique_ptr<Step> step, QueuedMessage& message,
                    UniqueFunction<void(Result<void>)> done);
  void onAccepted(Step& step, PendingAccept& pending);
  void queueAccepted(QueuedMessage& message);
  void forget(QueuedMessage& message);
  void checkAcceptDeadlines();
  void noteRefused(std::vector<std::shared_ptr<Doubt>> doubts);
  void checkDoubts();
  void relieveIncoming();
  void submitStep(std::unique_ptr<Step> step);

  // shard_delivery.cc
  std::unique_ptr<Work> takeGroup(QueuedGroup& group);
  void putBack(QueuedGroup& group);
  void removeOps(Ops& ops, const QueuedGroup& group) const;
  void endMessageOps(Ops& ops, const QueuedMessage& message) const;
  void writeForm(Ops& ops, const QueuedGroup& group) const;
  // Replaces a group by other forms of it, in one step with `ops`. `then` runs when it is written.
  void replaceGroup(QueuedGroup& group, std::vector<GroupForm> forms, std::unique_ptr<Step> step,
                    UniqueFunction<void(std::vector<QueuedGroup*>)> then);
  void onReplaced(QueuedMessage& message, QueuedGroup* old, std::vector<QueuedGroup*>& fresh);
  void applyAfterAttempt(const AfterAttempt& after, std::vector<QueuedGroup*>& groups);
  void eraseGroup(QueuedGroup& group);

  // shard_scan.cc
  void readChunk(QueuedMessage& message, uint32_t chunk, Content::Done done);
  bool mayScan(const KeyQueue& queue) const { return walk_complete_ || queue.walked; }
  void countDue(KeyQueue& queue);
  void onCounted(KeyQueue& queue, const Position& to, ScheduleScan scan);
  void countWritten(const KeyQueue& queue, const Position& frontier, Tally& due, Tally& aside,
                    uint64_t& earliest_us);
  bool countsAsWaiting(const Position& at);
  void fillWindow(KeyQueue& queue);
  struct Loaded;
  void onLoaded(KeyQueue& queue, std::vector<Loaded> loaded, bool more, const Position& from,
                const Position& to);
  bool placeLoaded(KeyQueue& queue, Loaded& loaded);
  void dropOrphan(KeyQueue& queue, const ScheduleEntry& entry);
  void feedHungry();
  void evictIdleWindows();
  uint64_t beginRead();
  void endRead(uint64_t serial);
  // Runs `read` on a reader thread with the store open, then `then` here with its result, or with
  // nothing if the store was shut.
  template <class Read, class Then>
  void readThen(Read read, Then then);

  // shard_admin.cc
  template <class Then>
  void searchOn(std::shared_ptr<Search> search, size_t most_found, Then then);
  void continueListing(std::shared_ptr<Listing> listing);
  std::optional<MessageStatus> statusOf(const StoredMessage& stored);
  RecipientState stateOf(const QueuedGroup& group) const;

  // shard_act.cc
  void continueActing(std::shared_ptr<Acting> acting);
  void onActingSlice(std::shared_ptr<Acting> acting, MessageScan scan);
  void finishActing(std::shared_ptr<Acting> acting);
  void removeUnreadable(const std::shared_ptr<Acting>& acting, const MessageId& id);
  void actOnMessage(const std::shared_ptr<Acting>& acting, StoredMessage stored);
  // Does `action` to some recipients of a group that is not active; false if it changes nothing.
  bool actOnGroup(QueuedGroup& group, const std::vector<uint16_t>& matching, Action action,
                  EachWork each, Task then);
  void trackByHand(Tracks& tracks, const QueuedGroup& group,
                   const std::vector<uint16_t>& recipients, Action action) const;
  void continueSweep(KeyQueue& queue, Position from, WallTime notice_before,
                     WallTime expire_before);
  void giveOverdue(KeyQueue& queue, Loaded& loaded);

  QueueContext& context_;
  const size_t index_;
  net::Loop& loop_;
  const std::vector<uint8_t> lanes_;
  mutable QueueClock clock_;  // reading it moves it on
  MessageIdSource ids_;
  ShardQueueMetrics& metrics_;
  QueueListener* listener_ = nullptr;

  std::unordered_map<MessageId, std::unique_ptr<QueuedMessage>> loaded_;
  std::unordered_map<QueueKey, std::unique_ptr<KeyQueue>> keys_;
  DueHeap due_;
  net::Deadline tick_;
  std::vector<Task> retries_;  // at the next tick
  std::vector<KeyQueue*> notifications_;
  std::deque<KeyQueue*> hungry_;
  SteadyTime last_eviction_{};

  uint64_t serial_ = 0;              // of the newest read
  std::set<uint64_t> reads_;         // under way
  std::deque<MessageId> lingering_;  // loaded only because of older reads

  std::deque<std::shared_ptr<PendingAccept>> accepts_;
  net::Deadline accept_deadline_;
  std::deque<std::shared_ptr<Doubt>> doubts_;
  net::Deadline doubt_deadline_;
  std::vector<IncomingMessage*> congested_;
  net::Deadline relief_;

  bool walk_complete_ = false;
  std::vector<Task> after_walk_;
};

}  // namespace sluice::queue
