// How a queue is put together, and what it says of itself as a whole.
#include "queue/queue.h"

#include <algorithm>
#include <random>

#include "queue/disk_watch.h"
#include "queue/recovery.h"
#include "queue/schedule_repair.h"
#include "queue/shard_queue.h"
#include "queue/tracking.h"

namespace sluice::queue {
namespace {

constexpr std::string_view kSettingPrefix = "setting/";
constexpr std::chrono::seconds kSettingTimeout{5};

void readQuarantine(QueueContext& context) {
  const std::unique_ptr<rocksdb::Iterator> at(context.store->db()->NewIterator(
      rocksdb::ReadOptions(), context.store->family(Family::Settings)));
  for (at->Seek(sliceOf(kQuarantinePrefix)); at->Valid(); at->Next()) {
    const std::string_view key = viewOf(at->key());
    if (!key.starts_with(kQuarantinePrefix)) break;
    if (const auto id = MessageId::parse(key.substr(kQuarantinePrefix.size())))
      context.quarantine.add(*id);
  }
}

class QueueImpl final : public Queue {
 public:
  QueueImpl(const QueueOptions& options, std::span<net::Loop* const> loops, QueueMetrics& metrics)
      : context_(options), loops_(loops.begin(), loops.end()) {
    context_.metrics = &metrics;
    context_.shards = loops.size();
    while (metrics.shards.size() < loops.size()) metrics.shards.emplace_back();
  }
  ~QueueImpl() override { close(); }

  Result<void> open();
  ShardQueue& shard(size_t index) override { return *shards_[index]; }
  void setListener(size_t index, QueueListener& listener) override {
    shards_[index]->setListener(listener);
  }
  void startRecovery() override;
  StoreHealth health() const override;
  Result<void> putSetting(const std::string& name, const std::string& value) override;
  std::vector<std::pair<std::string, std::string>> settings(const std::string& prefix) override;
  Result<void> removeSetting(const std::string& name) override;
  const Tracking* tracking() const override { return tracking_.get(); }
  void close() override;

 private:
  ShardQueueImpl& ownerOf(uint8_t lane) { return *shards_[lane % shards_.size()]; }
  QueueContext context_;
  uint32_t start_number_ = 0;
  std::vector<net::Loop*> loops_;
  std::vector<std::unique_ptr<ShardQueueImpl>> shards_;
  std::unique_ptr<Walk> walk_;
  std::unique_ptr<DiskWatch> watch_;
  std::unique_ptr<TrackingImpl> tracking_;
  std::atomic<bool> walk_complete_{false};
  bool closed_ = false;
};

Result<void> QueueImpl::open() {
  ASSIGN_OR_RETURN(context_.store, Store::open(context_.options));
  ASSIGN_OR_RETURN(context_.refusals, Refusals::open(context_.options.directory, *context_.store));
  RETURN_IF_ERROR(removePartials(*context_.store));
  readQuarantine(context_);
  Result<std::vector<uint8_t>> stored = storedLanes(*context_.store);
  if (!stored || isHalfRepaired(*context_.store)) {
    const std::string why = stored ? "an earlier repair was cut off" : stored.error().detail;
    RETURN_IF_ERROR(repairSchedule(context_, why));
    stored = storedLanes(*context_.store);
    if (!stored) return tl::unexpected<Error>(stored.error());
  }
  context_.store->takeSnapshot();
  const uint64_t dropped = context_.store->droppedBytes();
  context_.metrics->recovery_dropped_bytes.set(static_cast<int64_t>(dropped));
  if (dropped > 0)
    context_.tell({StoreEvent::What::RecoveryDropped, "",
                   std::to_string(dropped) + " bytes at the torn end of the log were cut off"});
  context_.committer =
      std::make_unique<Committer>(*context_.store, *context_.refusals, loops_, *context_.metrics,
                                  context_.options.on_event, *context_.options.clock);
  if (context_.options.tracking.enabled)
    tracking_ = std::make_unique<TrackingImpl>(*context_.store, context_.options);
  watch_ = std::make_unique<DiskWatch>(context_);
  start_number_ = std::random_device()();
  for (size_t index = 0; index < loops_.size(); ++index) {
    std::vector<uint8_t> lanes{static_cast<uint8_t>(index)};
    for (const uint8_t lane : *stored)
      if (lane % loops_.size() == index && lane != index) lanes.push_back(lane);
    std::sort(lanes.begin(), lanes.end());
    shards_.push_back(std::make_unique<ShardQueueImpl>(context_, index, *loops_[index],
                                                       std::move(lanes), start_number_));
    loops_[index]->post([shard = shards_.back().get()] { shard->start(); });
  }
  return {};
}

void QueueImpl::startRecovery() {
  walk_ = std::make_unique<Walk>(
      context_, start_number_,
      [this](uint8_t lane, std::vector<WalkedKey> keys) {
        ShardQueueImpl& shard = ownerOf(lane);
        shard.loop().post(
            [&shard, keys = std::move(keys)]() mutable { shard.onWalked(std::move(keys)); });
      },
      [this](uint8_t lane, std::vector<WallTime> accepted) {
        ShardQueueImpl& shard = ownerOf(lane);
        shard.loop().post(
            [&shard, accepted = std::move(accepted)] { shard.onMessagesCounted(accepted); });
      },
      [this] {
        walk_complete_ = true;
        for (auto& shard : shards_)
          shard->loop().post([one = shard.get()] { one->onWalkComplete(); });
      });
  walk_->start();
}

StoreHealth QueueImpl::health() const {
  StoreHealth health;
  health.writable = context_.committer && context_.committer->writable();
  health.space = context_.hasSpaceFor(0);
  health.disk_free_bytes = context_.disk_free_bytes.load(std::memory_order_relaxed);
  health.content_bytes = context_.budget.bytes();
  health.recovery_dropped_bytes = context_.store ? context_.store->droppedBytes() : 0;
  health.quarantined_messages = context_.quarantine.count();
  health.walk_complete = walk_complete_;
  int64_t messages = 0;
  for (const ShardQueueMetrics& shard : context_.metrics->shards)
    messages += shard.messages.value();
  health.messages = static_cast<uint64_t>(std::max<int64_t>(0, messages));
  health.ready = health.writable && health.space && health.walk_complete && !closed_;
  if (!health.writable)
    health.why_not = context_.committer ? context_.committer->whyNotWritable() : "closed";
  else if (!health.space)
    health.why_not = "less free disk than disk_reserve";
  else if (!health.walk_complete)
    health.why_not = "the queue is being counted";
  return health;
}

Result<void> QueueImpl::putSetting(const std::string& name, const std::string& value) {
  Ops ops;
  ops.put(Family::Settings, std::string(kSettingPrefix) + name, value);
  return context_.committer->writeNow(std::move(ops), kSettingTimeout);
}

Result<void> QueueImpl::removeSetting(const std::string& name) {
  Ops ops;
  ops.remove(Family::Settings, std::string(kSettingPrefix) + name);
  return context_.committer->writeNow(std::move(ops), kSettingTimeout);
}

std::vector<std::pair<std::string, std::string>> QueueImpl::settings(const std::string& prefix) {
  std::vector<std::pair<std::string, std::string>> found;
  const auto reading = context_.store->read();
  if (!reading) return found;
  const std::string from = std::string(kSettingPrefix) + prefix;
  const std::unique_ptr<rocksdb::Iterator> at(
      reading->NewIterator(rocksdb::ReadOptions(), reading.family(Family::Settings)));
  for (at->Seek(from); at->Valid() && at->key().starts_with(from); at->Next())
    found.emplace_back(at->key().ToString().substr(kSettingPrefix.size()), at->value().ToString());
  return found;
}

void QueueImpl::close() {
  if (closed_) return;
  closed_ = true;
  context_.readers.stop();
  watch_.reset();
  if (tracking_) tracking_->stop();
  if (context_.committer) context_.committer->close();
  if (context_.committer && context_.committer->writable()) context_.store->flush();
  if (context_.store) context_.store->close();
}

}  // namespace

void QueueContext::quarantineMessage(const MessageId& id, const std::string& why) {
  if (!quarantine.add(id)) return;
  auto step = std::make_unique<Step>();
  step->ops.put(Family::Settings, std::string(kQuarantinePrefix) + id.toString(), why);
  committer->submitApart(std::move(step));
  tell({StoreEvent::What::Quarantined, id.toString(), why});
}

Result<std::unique_ptr<Queue>> Queue::open(const QueueOptions& options,
                                           std::span<net::Loop* const> loops,
                                           QueueMetrics& metrics) {
  if (loops.empty() || loops.size() > 256)
    return fail(Errc::InvalidArgument, "a queue needs 1 to 256 shards");
  auto queue = std::make_unique<QueueImpl>(options, loops, metrics);
  RETURN_IF_ERROR(queue->open());
  return queue;
}

}  // namespace sluice::queue
