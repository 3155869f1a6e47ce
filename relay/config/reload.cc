#include "relay/config/reload.h"

#include <algorithm>

#include "relay/config/config_keys.h"

namespace sluice::relay {
namespace {

template <class T>
void compare(const std::string& title, const Keys<T>& keys, const T& running, const T& next,
             std::vector<std::string>& changes) {
  for (const Key<T>& key : keys) {
    if (key.apply == Apply::Reload || key.print(running) == key.print(next)) continue;
    changes.push_back((title.empty() ? "" : title + " ") + std::string(key.name));
  }
}

const ReceiveConfig* find(const std::vector<ReceiveConfig>& all, const std::string& name) {
  const auto found = std::find_if(
      all.begin(), all.end(), [&](const ReceiveConfig& receive) { return receive.name == name; });
  return found == all.end() ? nullptr : &*found;
}

void compareReceive(const Config& running, const Config& next, std::vector<std::string>& changes) {
  for (const ReceiveConfig& before : running.receive) {
    const std::string title = "[[receive]] \"" + before.name + "\"";
    const ReceiveConfig* after = find(next.receive, before.name);
    if (after == nullptr) {
      changes.push_back(title);
    } else {
      compare(title, receiveKeys(), before, *after, changes);
    }
  }
  for (const ReceiveConfig& after : next.receive) {
    if (find(running.receive, after.name) == nullptr) {
      changes.push_back("[[receive]] \"" + after.name + "\"");
    }
  }
}

}  // namespace

std::vector<std::string> changesForRestart(const Config& running, const Config& next) {
  std::vector<std::string> changes;
  compare("", topKeys(), running, next, changes);
  compare("[dns]", dnsKeys(), running, next, changes);
  compareReceive(running, next, changes);
  compare("[queue]", queueKeys(), running, next, changes);
  compare("[tracking]", trackingKeys(), running, next, changes);
  compare("[tls_report]", tlsReportKeys(), running, next, changes);
  compare("[admin]", adminKeys(), running, next, changes);
  compare("[log]", logKeys(), running, next, changes);
  compare("[process]", processKeys(), running, next, changes);
  return changes;
}

}  // namespace sluice::relay
