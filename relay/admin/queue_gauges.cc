#include "relay/admin/queue_gauges.h"

#include <algorithm>
#include <iterator>

#include "metrics/registry.h"

namespace sluice::relay {
namespace {

metrics::DestinationSample sampleOf(const QueueStatus& queue, WallTime now) {
  metrics::DestinationSample sample;
  sample.destination = queue.destination.destination;
  sample.ready = queue.ready;
  sample.active = queue.active;
  sample.deferred = queue.deferred;
  sample.held = queue.held;
  sample.connections = queue.destination.connections;
  sample.results = queue.destination.results;
  if (queue.oldest) {
    sample.oldest_seconds =
        std::max(0.0, std::chrono::duration<double>(now - *queue.oldest).count());
  }
  return sample;
}

}  // namespace

std::vector<prometheus::MetricFamily> QueueGauges::Collect() const {
  namespace names = metrics::names;
  std::vector<metrics::DestinationSample> samples;
  metrics::DestinationSample sum;
  const WallTime now = Clock::system().wall();
  const auto seen = control_.visitQueues([&](const QueueStatus& queue) {
    sum.ready += queue.ready;
    sum.active += queue.active;
    sum.deferred += queue.deferred;
    sum.held += queue.held;
    samples.push_back(sampleOf(queue, now));
  });
  if (!seen) return {};
  auto recipients = metrics::familyOf(names::kQueueRecipients);
  const auto add = [&](const char* state, uint64_t count) {
    recipients.metric.push_back(
        metrics::sampleOf(names::kQueueRecipients, {state}, static_cast<double>(count)));
  };
  add("ready", sum.ready);
  add("active", sum.active);
  add("deferred", sum.deferred);
  add("held", sum.held);
  std::vector<prometheus::MetricFamily> out{std::move(recipients)};
  auto destinations = destinations_.collect(std::move(samples));
  std::move(destinations.begin(), destinations.end(), std::back_inserter(out));
  return out;
}

}  // namespace sluice::relay
