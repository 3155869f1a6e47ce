// How a damaged block of envelopes is passed.
#include "queue/envelope_cursor.h"

namespace sluice::queue {
namespace {

// Behind everything that begins with `id`.
std::string behind(std::string_view id) {
  return std::string(id) + std::string(MessageId::kBytes, '\xff');
}

}  // namespace

EnvelopeCursor::EnvelopeCursor(const Store::Reading& store, const rocksdb::ReadOptions& options)
    : at_(store->NewIterator(options, store.family(Family::Envelope))),
      contents_(store->NewIterator(options, store.family(Family::Content))) {}

void EnvelopeCursor::seek(const std::optional<MessageId>& after) {
  if (after)
    at_->Seek(sliceOf(after->bytes()));
  else
    at_->SeekToFirst();
  if (at_->Valid() && after && id() == *after) at_->Next();
  if (!at_->Valid() && !at_->status().ok())
    passDamage(after ? std::string(after->bytes()) : std::string());
}

void EnvelopeCursor::next() {
  std::string last(key());
  at_->Next();
  if (!at_->Valid() && !at_->status().ok()) passDamage(std::move(last));
}

void EnvelopeCursor::passDamage(std::string last) {
  while (!at_->Valid() && !at_->status().ok()) {
    contents_->Seek(last.empty() ? last : behind(last));
    if (!contents_->Valid()) return;
    last = std::string(viewOf(contents_->key()).substr(0, MessageId::kBytes));
    at_->Seek(last);
    if (!at_->Valid() && !at_->status().ok()) damaged_.push_back(MessageId::fromBytes(last));
  }
}

}  // namespace sluice::queue
