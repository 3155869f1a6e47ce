// MTA-STS policies on disk, a file a domain, so that a restart forgets none (RFC 8461 section 5.1:
// what protects a domain is that its policy is remembered).
//
// Blocks: at the start, and on the HTTPS client's loop. Files that cannot be read or understood are
// removed: the policy is fetched again.
#pragma once

#include <string>
#include <vector>

#include "net/base/clock.h"
#include "relay/deliver/mta_sts_policy.h"

namespace sluice::relay {

struct StoredPolicy {
  std::string domain;
  std::string id;  // of the record; empty: unknown
  WallTime fetched_at{};
  MtaStsPolicy policy;
};

class MtaStsFiles {
 public:
  explicit MtaStsFiles(std::string directory) : directory_(std::move(directory)) {}

  // All that are there, at most `most`; the others are removed. Makes the directory.
  std::vector<StoredPolicy> load(size_t most);
  // Replaces the domain's file in one step. Errors: Io, NoSpace.
  Result<void> save(const StoredPolicy& stored);
  void remove(const std::string& domain);

 private:
  std::string pathOf(const std::string& domain) const { return directory_ + "/" + domain; }
  const std::string directory_;
};

}  // namespace sluice::relay
