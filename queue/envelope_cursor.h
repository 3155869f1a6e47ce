// Goes through the envelopes in the order of ids, over damaged parts of the store: where a block of
// envelopes cannot be read, the keys of the contents tell which messages are hit.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "queue/message_id.h"
#include "queue/store.h"

namespace sluice::queue {

class EnvelopeCursor {
 public:
  EnvelopeCursor(const Store::Reading& store, const rocksdb::ReadOptions& options);
  // To the first message behind `after`, or the first of all.
  void seek(const std::optional<MessageId>& after);
  void next();
  bool valid() const { return at_->Valid(); }
  MessageId id() const { return MessageId::fromBytes(viewOf(at_->key())); }
  std::string_view key() const { return viewOf(at_->key()); }
  std::string_view value() const { return viewOf(at_->value()); }
  // Messages passed on the way whose envelopes cannot be read.
  std::vector<MessageId> takeDamaged() { return std::exchange(damaged_, {}); }

 private:
  void passDamage(std::string last);
  std::unique_ptr<rocksdb::Iterator> at_;
  std::unique_ptr<rocksdb::Iterator> contents_;
  std::vector<MessageId> damaged_;
};

}  // namespace sluice::queue
