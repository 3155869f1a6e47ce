// A Control whose answers a test sets, and which remembers what it was asked.
#pragma once

#include "relay/admin/control.h"

namespace sluice::relay {

inline queue::MessageId idOf(uint8_t number) {
  std::string bytes(queue::MessageId::kBytes, '\0');
  bytes[0] = '\x01';
  bytes.back() = static_cast<char>(number);
  return queue::MessageId::fromBytes(bytes);
}

class FakeControl final : public Control {
 public:
  Readiness readiness() override { return ready; }
  RelayStatus status() override {
    RelayStatus status;
    status.version = "1.2.3";
    status.ready = ready.ready;
    status.store.walk_complete = counted;
    status.ages = {4, 0, 0, 0, 0, 1};
    return status;
  }
  Result<std::vector<QueueStatus>> queues() override {
    if (error) return tl::unexpected<Error>(*error);
    return queue_list;
  }
  Result<void> visitQueues(const std::function<void(const QueueStatus&)>& visit) override {
    if (error) return tl::unexpected<Error>(*error);
    for (const QueueStatus& queue : queue_list) visit(queue);
    return {};
  }
  Result<MessageListing> messages(const MessageChoice& filter,
                                  std::optional<queue::MessageId> after, size_t limit) override {
    last_filter = filter;
    last_after = after;
    last_limit = limit;
    if (error) return tl::unexpected<Error>(*error);
    return listing;
  }
  Result<MessageView> message(const queue::MessageId& id) override {
    for (const MessageView& item : listing.items) {
      if (item.id == id) return item;
    }
    return fail(Errc::NotFound, "no such message in the queue");
  }
  Result<ByteChain> content(const queue::MessageId& id) override {
    RETURN_IF_ERROR(message(id));
    ByteChain chain;
    chain.append("Subject: <script>alert(1)</script>\r\n\r\nhello\r\n");
    return chain;
  }
  Result<queue::ActionResult> count(const MessageChoice& filter) override {
    ++counts;
    last_filter = filter;
    return queue::ActionResult{.matched = 3};
  }
  Result<queue::ActionResult> act(MessageAction action, const MessageChoice& filter,
                                  const std::string& connector) override {
    if (action == MessageAction::Redirect && connector != "backup") {
      return fail(Errc::NotFound, "no such send connector");
    }
    ++acts;
    last_action = action;
    last_filter = filter;
    if (error) return tl::unexpected<Error>(*error);
    return queue::ActionResult{.matched = 3, .changed = 2};
  }
  Result<bool> suspend(const std::string& destination, bool suspended) override {
    if (destination != "example.net") return fail(Errc::NotFound, "no such destination");
    last_suspended = suspended;
    return true;
  }
  Result<queue::ActionResult> retryDestination(const std::string& destination) override {
    if (destination != "example.net") return fail(Errc::NotFound, "no such destination");
    return queue::ActionResult{.matched = 5, .changed = 5};
  }
  const queue::Tracking* tracking() override { return fake_tracking; }
  Result<void> reload() override {
    ++reloads;
    if (error) return tl::unexpected<Error>(*error);
    return {};
  }

  const queue::Tracking* fake_tracking = nullptr;
  // One message from the null reverse-path to two recipients.
  void addMessage(uint8_t number) {
    auto envelope = std::make_shared<queue::Envelope>();
    envelope->content_bytes = 42;
    envelope->receive_connector = "apps";
    envelope->received_at = WallTime(std::chrono::seconds(1'764'000'000));
    MessageView message{idOf(number), envelope, {}};
    queue::RecipientStatus status;
    status.recipient = "bad\xff@example.net";
    status.state = queue::RecipientState::Deferred;
    status.attempts.attempts = 2;
    status.attempts.last_reply = "451 4.7.1 later";
    status.next_attempt = WallTime(std::chrono::seconds(1'764'000'100));
    message.recipients.push_back({status, "example.net", "internet"});
    status.recipient = "held@example.net";
    status.state = queue::RecipientState::Held;
    status.attempts = {};
    message.recipients.push_back({status, "example.net", "internet"});
    listing.items.push_back(std::move(message));
  }

  Readiness ready{true, ""};
  bool counted = false;  // whether all counts are exact
  std::vector<QueueStatus> queue_list;
  MessageListing listing;
  std::optional<Error> error;
  MessageChoice last_filter;
  std::optional<queue::MessageId> last_after;
  size_t last_limit = 0;
  std::optional<MessageAction> last_action;
  std::optional<bool> last_suspended;
  int acts = 0;
  int counts = 0;
  int reloads = 0;
};

}  // namespace sluice::relay
