// All destinations with their trends, in the order that somebody wants to see, a page at a time.
//
// They are looked at anew when the last look is older than a second, or than ten times what it
// took, so that many who ask cost no more than one, and all of them a tenth of a core at most. Any
// thread.
#pragma once

#include <memory>
#include <mutex>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "net/http/http_server.h"
#include "relay/admin/control.h"
#include "relay/admin/destination_trends.h"

namespace sluice::relay {

struct BoardRow {
  QueueStatus queue;
  Trend trend;
  double hurt = 0;
};

class DestinationBoard {
 public:
  using Rows = std::shared_ptr<const std::vector<BoardRow>>;  // what hurts most first

  explicit DestinationBoard(Control& control) : control_(control) {}

  // Errors: Timeout, Cancelled.
  Result<Rows> rows();
  // Answers GET /api/v1/queues with `sort` or `match`; see docs/api.md.
  net::HttpResponse answer(const net::QueryParameters& query);

 private:
  Result<Rows> look();

  Control& control_;
  std::mutex mutex_;          // held while one looks: the others wait for what is seen
  DestinationTrends trends_;  // guarded by mutex_, as all below
  Rows rows_;
  SteadyTime fresh_until_{};
};

// The object of GET /api/v1/queues with `velocity` and `hurt`.
nlohmann::ordered_json toJson(const BoardRow& row);

}  // namespace sluice::relay
