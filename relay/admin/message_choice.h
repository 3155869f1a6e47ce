// Which messages does an administrator mean? Beside what the queue itself looks for, what is seen
// of a message when it is shown: its origin, its size, what became of its attempts.
//
// Pure.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "queue/queue.h"
#include "relay/admin/reply_predicate.h"

namespace sluice::relay {

struct MessageView;

struct MessageChoice : queue::MessageFilter {
  MessageChoice() = default;
  MessageChoice(queue::MessageFilter filter) : queue::MessageFilter(std::move(filter)) {}

  std::string sender_domain;  // of the reverse-path, without case
  std::string received_by;    // the receive connector
  std::optional<std::chrono::seconds> younger_than;
  uint64_t larger_than = 0;   // bytes of content; 0: any
  uint64_t smaller_than = 0;  // likewise
  uint32_t least_attempts = 0;
  ReplyPredicate last_reply;  // empty: any

  // Whether it says more than the queue's filter does.
  bool looksCloser() const;
  // Whether it means less than all messages, beside `ids`.
  bool narrows() const;
  // Whether the message is meant, for one of its recipients at least. What the filter says of it is
  // taken for granted.
  bool means(const MessageView& message, WallTime now) const;
};

// What `choice` means of messages that were seen, by their ids: together they choose those and, of
// each, the recipients that are meant and no others. One filter for most; one more for each
// recipient of a message of which another is not meant.
std::vector<queue::MessageFilter> exactFilters(const MessageChoice& choice,
                                               const std::vector<MessageView>& seen);

}  // namespace sluice::relay
