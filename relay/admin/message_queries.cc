#include "relay/admin/message_queries.h"

#include <algorithm>
#include <memory>
#include <unordered_map>

#include "relay/admin/shard_calls.h"
#include "relay/admin/survey.h"

namespace sluice::relay {
namespace {

using queue::ActionResult;
using queue::MessageFilter;
using queue::MessageId;

// One shard's part of a listing: messages up to `horizon`, or all that are left.
struct ShardPage {
  std::vector<MessageView> items;
  std::optional<MessageId> horizon;
};

// Several results of one shard that are one answer. On the shard's loop.
template <class T>
struct Gathering {
  Gathering(size_t count, Answer<T> to) : missing(count), answer(std::move(to)) {}

  void done() {
    if (--missing > 0) return;
    if (error) {
      answer.give(tl::unexpected<Error>(std::move(*error)));
    } else {
      answer.give(std::move(sum));
    }
  }

  T sum{};
  std::optional<Error> error;
  size_t missing;
  Answer<T> answer;
};

void addPage(ShardPage& sum, queue::MessagePage page, const DestinationView& view) {
  std::unordered_map<queue::QueueKey, DestinationStatus> destinations;
  for (queue::MessageStatus& item : page.items) {
    MessageView& shown = sum.items.emplace_back(MessageView{item.id, std::move(item.envelope), {}});
    for (queue::RecipientStatus& status : item.recipients) {
      auto known = destinations.find(status.key);
      if (known == destinations.end()) {
        known = destinations.emplace(status.key, view.destinationOf(status.key)).first;
      }
      shown.recipients.push_back(showRecipient(std::move(status), known->second));
    }
  }
  if (page.next && (!sum.horizon || *page.next < *sum.horizon)) sum.horizon = page.next;
}

// Each shard gives its first `limit` by id, so the first `limit` of all are among them, up to where
// the first of them stopped looking.
MessageListing merge(std::vector<ShardPage> pages, size_t limit) {
  MessageListing out;
  for (const ShardPage& page : pages) {
    if (page.horizon && (!out.next || *page.horizon < *out.next)) out.next = page.horizon;
  }
  for (ShardPage& page : pages) {
    for (MessageView& item : page.items) {
      if (!out.next || item.id <= *out.next) out.items.push_back(std::move(item));
    }
  }
  std::sort(out.items.begin(), out.items.end(),
            [](const MessageView& a, const MessageView& b) { return a.id < b.id; });
  const auto same = [](const MessageView& a, const MessageView& b) { return a.id == b.id; };
  out.items.erase(std::unique(out.items.begin(), out.items.end(), same), out.items.end());
  if (out.items.size() > limit) {
    out.items.resize(limit);
    out.next = out.items.back().id;
  }
  return out;
}

queue::Action queueAction(MessageAction action) {
  switch (action) {
    case MessageAction::Retry:
      return queue::Action::Retry;
    case MessageAction::Hold:
      return queue::Action::Hold;
    case MessageAction::Release:
      return queue::Action::Release;
    case MessageAction::Bounce:
    case MessageAction::Discard:
    case MessageAction::Expire:
    case MessageAction::Redirect:
      return queue::Action::Remove;
  }
  return queue::Action::Retry;
}

// What becomes of a Work that was taken out for it.
void carryOut(MessageAction action, const std::string& connector, DestinationView& view,
              std::unique_ptr<queue::Work> work) {
  switch (action) {
    case MessageAction::Bounce:
      return view.endByHand(std::move(work), HandEnd::Bounce);
    case MessageAction::Discard:
      return view.endByHand(std::move(work), HandEnd::Discard);
    case MessageAction::Expire:
      return view.endByHand(std::move(work), HandEnd::Expire);
    case MessageAction::Redirect:
      return view.redirect(std::move(work), connector);
    case MessageAction::Retry:
    case MessageAction::Hold:
    case MessageAction::Release:
      return;  // nothing is taken out
  }
}

}  // namespace

Result<MessageListing> listMessages(const Shards& shards, const MessageFilters& filters,
                                    std::optional<MessageId> after, size_t limit) {
  const auto ask = [queue = shards.queue, views = shards.views, filters, after, limit](
                       size_t index, Answer<ShardPage> answer) {
    auto gathering = std::make_shared<Gathering<ShardPage>>(filters.size(), std::move(answer));
    for (const MessageFilter& filter : filters) {
      queue->shard(index).list(filter, after, limit,
                               [gathering, view = views[index]](Result<queue::MessagePage> page) {
                                 if (page) {
                                   addPage(gathering->sum, std::move(*page), *view);
                                 } else {
                                   gathering->error = std::move(page.error());
                                 }
                                 gathering->done();
                               });
    }
  };
  ASSIGN_OR_RETURN(auto pages, askShards<ShardPage>(shards.loops, shards.timeout, ask));
  return merge(std::move(pages), limit);
}

Result<ActionResult> actOnMessages(const Shards& shards, MessageAction action,
                                   const MessageFilters& filters, const std::string& connector) {
  const auto ask = [queue = shards.queue, views = shards.views, filters, action, connector](
                       size_t index, Answer<ActionResult> answer) {
    auto gathering = std::make_shared<Gathering<ActionResult>>(filters.size(), std::move(answer));
    for (const MessageFilter& filter : filters) {
      queue->shard(index).act(
          queueAction(action), filter,
          [view = views[index], action, connector](std::unique_ptr<queue::Work> work) {
            carryOut(action, connector, *view, std::move(work));
          },
          [gathering](Result<ActionResult> done) {
            if (done) {
              gathering->sum.matched += done->matched;
              gathering->sum.changed += done->changed;
            } else {
              gathering->error = std::move(done.error());
            }
            gathering->done();
          });
    }
  };
  ASSIGN_OR_RETURN(const auto done, askShards<ActionResult>(shards.loops, shards.timeout, ask));
  ActionResult sum;
  for (const ActionResult& shard : done) {
    sum.matched += shard.matched;
    sum.changed += shard.changed;
  }
  return sum;
}

// The id does not say for sure which shard has the message: all are asked.
Result<ByteChain> readMessage(const Shards& shards, const MessageId& id) {
  using Found = std::optional<ByteChain>;
  const auto ask = [queue = shards.queue, id](size_t index, Answer<Found> answer) {
    queue->shard(index).readContent(
        id, [answer = std::move(answer)](Result<ByteChain> content) mutable {
          if (content) {
            answer.give(Found(std::move(*content)));
          } else if (content.error().code == Errc::NotFound) {
            answer.give(Found());
          } else {
            answer.give(tl::unexpected<Error>(std::move(content.error())));
          }
        });
  };
  ASSIGN_OR_RETURN(auto found, askShards<Found>(shards.loops, shards.timeout, ask));
  for (Found& content : found) {
    if (content) return std::move(*content);
  }
  return fail(Errc::NotFound, "no such message in the queue");
}

}  // namespace sluice::relay
