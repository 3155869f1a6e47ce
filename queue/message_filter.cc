// How filters compare: domains without case, the rest to the letter.
#include "queue/message_filter.h"

#include <algorithm>

namespace sluice::queue {
namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool equalWithoutCase(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return lower(x) == lower(y); });
}

// Local part with '@', and domain; the domain of <postmaster> is empty.
std::pair<std::string_view, std::string_view> split(std::string_view path) {
  const size_t at = path.rfind('@');
  if (at == std::string_view::npos) return {path, {}};
  return {path.substr(0, at + 1), path.substr(at + 1)};
}

std::string_view withoutBrackets(std::string_view path) {
  if (path.size() >= 2 && path.front() == '<' && path.back() == '>')
    return path.substr(1, path.size() - 2);
  return path;
}

}  // namespace

bool matchesMessage(const MessageFilter& filter, const MessageId& id, const Envelope& envelope,
                    WallTime now) {
  if (!filter.ids.empty() &&
      std::find(filter.ids.begin(), filter.ids.end(), id) == filter.ids.end())
    return false;
  if (!filter.sender.empty() && withoutBrackets(filter.sender) != envelope.reverse_path)
    return false;
  return !filter.older_than || id.acceptedAt() + *filter.older_than <= now;
}

bool matchesRecipient(const MessageFilter& filter, const Recipient& recipient,
                      const QueueKey& key) {
  const auto [local, domain] = split(recipient.forward_path);
  if (!filter.key_or_domain.empty() && filter.key_or_domain != key &&
      !equalWithoutCase(filter.key_or_domain, domain))
    return false;
  if (filter.recipient.empty()) return true;
  const auto [wanted_local, wanted_domain] = split(withoutBrackets(filter.recipient));
  return wanted_local == local && equalWithoutCase(wanted_domain, domain);
}

bool matches(const MessageFilter& filter, const StoredMessage& message, WallTime now) {
  if (!matchesMessage(filter, message.id, *message.envelope, now)) return false;
  if (filter.key_or_domain.empty() && filter.recipient.empty()) return true;
  for (const StoredGroup& group : message.groups)
    for (const uint16_t recipient : group.recipients)
      if (matchesRecipient(filter, message.envelope->recipients[recipient], group.key)) return true;
  return false;
}

}  // namespace sluice::queue
