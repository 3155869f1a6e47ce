// How the schedule is checked, and written anew.
#include "queue/schedule_repair.h"

#include "queue/queue_reader.h"

namespace sluice::queue {
namespace {

// While this is there, the schedule is not whole: a crash in between begins again.
constexpr std::string_view kRebuildingKey = "rebuilding";
constexpr size_t kMessagesAtOnce = 5'000;

constexpr size_t kEntriesAtOnce = 50'000;

void scheduleAgain(rocksdb::WriteBatch& batch, rocksdb::ColumnFamilyHandle* family,
                   const StoredMessage& message) {
  for (const StoredGroup& group : message.groups) {
    const auto key =
        scheduleKey(message.id.lane(), group.key, {group.due_us, message.id, group.id});
    const ScheduleValue value{
        static_cast<uint16_t>(group.recipients.size()), group.attempts.attempts,
        message.groups.size() == 1 && !group.has_record, group.attempts.delay_notified};
    batch.Put(family, key, encodeSchedule(key, value));
  }
}

}  // namespace

bool isHalfRepaired(const Store& store) {
  std::string mark;
  return store.db()
      ->Get(rocksdb::ReadOptions(), store.family(Family::Settings), sliceOf(kRebuildingKey), &mark)
      .ok();
}

std::string damageOfSlice(const Store::Reading& store, std::string& resume) {
  rocksdb::ReadOptions options;
  options.fill_cache = false;
  const std::unique_ptr<rocksdb::Iterator> at(
      store->NewIterator(options, store.family(Family::Schedule)));
  size_t left = kEntriesAtOnce;
  for (at->Seek(resume); at->Valid(); at->Next()) {
    const std::string_view key = viewOf(at->key());
    if (!parseScheduleKey(key)) return "a key is not of its form";
    if (const auto value = decodeSchedule(key, viewOf(at->value())); !value)
      return value.error().detail;
    if (--left > 0) continue;
    resume.assign(key);
    resume.push_back('\0');
    return "";
  }
  resume.clear();
  return at->status().ok() ? "" : at->status().ToString();
}

Result<void> repairSchedule(QueueContext& context, const std::string& damage) {
  Store& store = *context.store;
  context.tell({StoreEvent::What::Damaged, "", "the schedule is written anew: " + damage});
  rocksdb::WriteOptions sync;
  sync.sync = true;
  auto* settings = store.family(Family::Settings);
  const auto marked = store.db()->Put(sync, settings, sliceOf(kRebuildingKey), rocksdb::Slice("1"));
  if (!marked.ok()) return failWith(marked);
  RETURN_IF_ERROR(store.emptyFamily(Family::Schedule));
  std::optional<MessageId> after;
  do {
    rocksdb::WriteBatch batch;
    const MessageScan scan = scanMessages(
        store.readAlone(), after, kMessagesAtOnce, kMessagesAtOnce,
        [](const MessageId&) { return true; }, [](const StoredMessage&) { return true; });
    for (const StoredMessage& message : scan.messages)
      scheduleAgain(batch, store.family(Family::Schedule), message);
    const auto written = store.db()->Write(rocksdb::WriteOptions(), &batch);
    if (!written.ok()) return failWith(written);
    after = scan.resume_after;
  } while (after);
  const auto unmarked = store.db()->Delete(sync, settings, sliceOf(kRebuildingKey));
  if (!unmarked.ok()) return failWith(unmarked);
  return {};
}

}  // namespace sluice::queue
