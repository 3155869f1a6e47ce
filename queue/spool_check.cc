// How an offline queue is looked through.
#include "queue/spool_check.h"

#include <unistd.h>

#include "queue/queue_reader.h"
#include "queue/store.h"

namespace sluice::queue {
namespace {

constexpr size_t kMessagesAtOnce = 500;

class SpoolChecker {
 public:
  SpoolChecker(Store& store, const std::function<void(const SpoolMessage&)>& visit)
      : reading_(store.read()), visit_(visit) {}

  SpoolReport run() {
    checkSchedule();
    std::optional<MessageId> after;
    do {
      MessageScan scan = scanMessages(
          reading_, after, kMessagesAtOnce, kMessagesAtOnce, [](const MessageId&) { return true; },
          [](const StoredMessage&) { return true; });
      for (const StoredMessage& message : scan.messages) checkMessage(message);
      for (const MessageId& id : scan.damaged) {
        ++report_.damaged_messages;
        problem(id.toString(), "its envelope or its state cannot be read");
      }
      after = scan.resume_after;
    } while (after);
    if (entries_ > entries_found_)
      problem("", std::to_string(entries_ - entries_found_) +
                      " schedule entries belong to no readable message");
    countPartials();
    return std::move(report_);
  }

 private:
  void problem(std::string id, std::string detail) {
    ++report_.problem_count;
    if (report_.problems.size() < SpoolReport::kMaxProblems)
      report_.problems.push_back({std::move(id), std::move(detail)});
  }

  std::unique_ptr<rocksdb::Iterator> iterate(Family family) {
    rocksdb::ReadOptions options;
    options.fill_cache = false;
    return std::unique_ptr<rocksdb::Iterator>(
        reading_->NewIterator(options, reading_.family(family)));
  }

  void checkSchedule() {
    const auto at = iterate(Family::Schedule);
    for (at->SeekToFirst(); at->Valid(); at->Next()) {
      const auto key = parseScheduleKey(viewOf(at->key()));
      const auto value = decodeSchedule(viewOf(at->key()), viewOf(at->value()));
      if (key && value)
        ++entries_;
      else
        problem(key ? key->at.id.toString() : "", "an entry of the schedule is damaged");
    }
    if (!at->status().ok()) problem("", "the schedule: " + at->status().ToString());
  }

  void checkMessage(const StoredMessage& message) {
    SpoolMessage out{message.id, message.envelope, {}, {}, true};
    for (const StoredGroup& group : message.groups) {
      checkScheduled(message, group);
      for (const uint16_t recipient : group.recipients) {
        RecipientStatus status;
        status.recipient = message.envelope->recipients[recipient].forward_path;
        status.key = group.key;
        status.state = stateOf(group);
        status.attempts = group.attempts;
        if (group.due_us != kNeverDue) status.next_attempt = fromMicroseconds(group.due_us);
        out.recipients.push_back(std::move(status));
      }
    }
    readContent(message, out);
    if (out.content_whole) {
      ++report_.messages;
      report_.recipients += out.recipients.size();
      report_.content_bytes += out.content.size();
    } else {
      ++report_.damaged_messages;
    }
    if (visit_) visit_(out);
  }

  static RecipientState stateOf(const StoredGroup& group) {
    if (group.due_us == kNeverDue) return RecipientState::Held;
    const bool due = group.due_us <= toMicroseconds(Clock::system().wall());
    return due ? RecipientState::Ready : RecipientState::Deferred;
  }

  void checkScheduled(const StoredMessage& message, const StoredGroup& group) {
    const auto key =
        scheduleKey(message.id.lane(), group.key, {group.due_us, message.id, group.id});
    if (const auto entry = reading_.get(Family::Schedule, key))
      ++entries_found_;
    else
      problem(message.id.toString(),
              "not in the schedule under " + group.key + ": " + entry.error().detail);
  }

  void readContent(const StoredMessage& message, SpoolMessage& out) {
    out.content = message.envelope->front_fields;
    for (uint32_t chunk = 0; chunk < message.chunks; ++chunk) {
      const auto block = readChunk(reading_, message.id, chunk);
      if (block) {
        out.content.append((*block)->view());
        continue;
      }
      out.content_whole = false;
      problem(message.id.toString(), "content: " + block.error().detail);
    }
    if (out.content_whole && out.content.size() != message.envelope->content_bytes) {
      out.content_whole = false;
      problem(message.id.toString(), "content is of another size than accepted");
    }
  }

  void countPartials() {
    const auto at = iterate(Family::Partial);
    for (at->SeekToFirst(); at->Valid(); at->Next()) ++report_.half_received;
  }

  Store::Reading reading_;
  const std::function<void(const SpoolMessage&)>& visit_;
  SpoolReport report_;
  uint64_t entries_ = 0;
  uint64_t entries_found_ = 0;
};

}  // namespace

Result<SpoolReport> checkSpool(const std::string& directory,
                               const std::function<void(const SpoolMessage&)>& visit) {
  std::string path = Store::databasePath(directory);
  if (::access((path + "/CURRENT").c_str(), F_OK) != 0) path = directory;
  if (::access((path + "/CURRENT").c_str(), F_OK) != 0)
    return fail(Errc::NotFound, "no queue in " + directory);
  ASSIGN_OR_RETURN(const auto store, Store::openReadOnly(path));
  SpoolReport report = SpoolChecker(*store, visit).run();
  report.dropped_log_bytes = store->droppedBytes();
  return report;
}

}  // namespace sluice::queue
