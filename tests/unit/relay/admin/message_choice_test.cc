#include "relay/admin/message_choice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "relay/admin/control.h"

namespace sluice::relay {
namespace {

using testing::SizeIs;

MessageView messageOf(std::vector<std::pair<const char*, const char*>> recipients) {
  auto envelope = std::make_shared<queue::Envelope>();
  envelope->reverse_path = "app@Shop.test";
  envelope->receive_connector = "apps";
  envelope->content_bytes = 5000;
  MessageView message{queue::MessageId(), envelope, {}};
  for (const auto& [path, reply] : recipients) {
    queue::RecipientStatus status;
    status.recipient = path;
    status.attempts.attempts = 3;
    status.attempts.last_reply = reply;
    message.recipients.push_back({status, "there.test", "internet"});
  }
  return message;
}

TEST(MessageChoice, MeansWhatHasEveryProperty) {
  const MessageView message = messageOf({{"a@there.test", "mx [x]: 451 later"}});
  const WallTime now = message.id.acceptedAt() + std::chrono::hours(2);
  MessageChoice choice;
  EXPECT_FALSE(choice.narrows());
  choice.sender_domain = "shop.TEST";
  choice.received_by = "apps";
  choice.larger_than = 4999;
  choice.smaller_than = 5001;
  choice.least_attempts = 3;
  choice.younger_than = std::chrono::hours(3);
  choice.last_reply = [](std::string_view reply) { return reply.ends_with("later"); };
  EXPECT_TRUE(choice.narrows());
  EXPECT_TRUE(choice.means(message, now));
  for (const auto& spoil : std::vector<std::function<void(MessageChoice&)>>{
           [](MessageChoice& one) { one.sender_domain = "test"; },
           [](MessageChoice& one) { one.received_by = "app"; },
           [](MessageChoice& one) { one.larger_than = 5000; },
           [](MessageChoice& one) { one.smaller_than = 5000; },
           [](MessageChoice& one) { one.least_attempts = 4; },
           [](MessageChoice& one) { one.younger_than = std::chrono::hours(1); },
           [](MessageChoice& one) { one.last_reply = [](std::string_view) { return false; }; }}) {
    MessageChoice other = choice;
    spoil(other);
    EXPECT_FALSE(other.means(message, now));
  }
}

// What is discarded by its reply takes no other recipient of the same message with it.
TEST(MessageChoice, OfAMessageOnlyTheRecipientsThatAreMeantAreChosen) {
  MessageChoice choice;
  choice.last_reply = [](std::string_view reply) { return reply == "full"; };
  const auto filters =
      exactFilters(choice, {messageOf({{"a@there.test", "full"}, {"b@there.test", "full"}}),
                            messageOf({{"c@there.test", "full"}, {"d@there.test", "later"}})});
  ASSERT_THAT(filters, SizeIs(2));
  EXPECT_EQ(filters[0].recipient, "c@there.test");
  EXPECT_THAT(filters[0].ids, SizeIs(1));
  EXPECT_EQ(filters[1].recipient, "");
  EXPECT_THAT(filters[1].ids, SizeIs(1));
}

}  // namespace
}  // namespace sluice::relay
