// What does one failure notice cost? A flood of bounces must not be a flood of work.
#include <benchmark/benchmark.h>

#include <string>

#include "relay/notify/notices.h"

namespace sluice::relay {
namespace {

// Arguments: recipients that failed, bytes of the original, bytes of the reply.
void BM_FailureNotice(benchmark::State& state) {
  NoticeSettings settings;
  settings.hostname = "relay.example.com";
  settings.postmaster = "postmaster@example.com";
  queue::Envelope envelope;
  envelope.reverse_path = "alice@example.com";
  std::vector<RecipientReport> reports;
  for (int i = 0; i < state.range(0); ++i) {
    envelope.recipients.push_back({"user" + std::to_string(i) + "@example.net", {}, {}});
    RecipientReport report;
    report.recipient = static_cast<uint16_t>(i);
    report.status = "5.1.1";
    report.remote_mta = "mx.example.net";
    report.diagnostic = "550 5.1.1 " + std::string(static_cast<size_t>(state.range(2)), 'x');
    reports.push_back(std::move(report));
  }
  std::string original = "Subject: A message\r\nMessage-ID: <1@example.com>\r\n\r\n";
  while (original.size() < static_cast<size_t>(state.range(1))) {
    original.append(76, 'x').append("\r\n");
  }
  for (auto _ : state) {
    auto notice = makeNotice(NoticeKind::Failure, settings, queue::MessageId(), envelope, original,
                             true, reports, WallTime{}, "unique");
    benchmark::DoNotOptimize(notice.content.size());
  }
}
BENCHMARK(BM_FailureNotice)
    ->Args({1, 4096, 40})
    ->Args({1, 64 * 1024, 40})
    ->Args({1, 4096, 100'000})
    ->Args({100, 4096, 40})
    ->Args({100, 4096, 2000});

}  // namespace
}  // namespace sluice::relay

BENCHMARK_MAIN();
