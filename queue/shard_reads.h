// How a shard reads: the work goes to a reader thread with the store held open, its result comes
// back to the loop. Only for the parts of ShardQueueImpl.
#pragma once

#include <optional>
#include <type_traits>
#include <utility>

#include "queue/shard_queue.h"

namespace sluice::queue {

// An entry of the schedule, with its message.
struct ShardQueueImpl::Loaded {
  ScheduleEntry entry;
  Result<StoredMessage> message;
};

template <class Read, class Then>
void ShardQueueImpl::readThen(Read read, Then then) {
  using Value = std::invoke_result_t<Read&, const Store::Reading&>;
  const uint64_t serial = beginRead();
  context_.readers.normal([this, serial, read = std::move(read), then = std::move(then)]() mutable {
    std::optional<Value> value;
    if (const auto reading = context_.store->read()) value.emplace(read(reading));
    loop_.post([this, serial, value = std::move(value), then = std::move(then)]() mutable {
      then(std::move(value));
      endRead(serial);
    });
  });
}

}  // namespace sluice::queue
