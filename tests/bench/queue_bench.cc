// How fast is the queue alone: accept, take and settle, without SMTP.
//
// Keeps a number of messages in flight on one loop: each accepted one is taken when it is ready and
// ended, and a new one is accepted when a 250 has come. Counts whole lives a second, and CPU of the
// whole process a life. Arguments: messages in flight, bytes of content.
#include <benchmark/benchmark.h>
#include <sys/resource.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "net/loop.h"
#include "queue/queue.h"
#include "queue/queue_metrics.h"

namespace sluice::queue {
namespace {

constexpr int kLives = 200'000;

double cpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

class Lives final : public QueueListener {
 public:
  Lives(net::Loop& loop, ShardQueue& queue, size_t content_bytes)
      : loop_(loop), queue_(queue), content_(content_bytes, 'x') {}

  void begin(int in_flight) {
    for (int i = 0; i < in_flight; ++i) accept();
  }
  void onReady(const QueueKey& key) override {
    while (auto work = queue_.take(key)) {
      benchmark::DoNotOptimize(work->content().inMemory());
      queue_.settle(std::move(work), {Settlement{}}, {}, nullptr);
      ++ended_;
    }
    if (ended_ >= kLives) loop_.stop();
  }
  void onOverdue(std::unique_ptr<Work>) override {}
  int accepted() const { return accepted_; }

 private:
  void accept() {
    auto incoming = queue_.newIncoming(content_.size());
    incoming->append(content_);
    Envelope envelope;
    envelope.reverse_path = "sender@example.com";
    envelope.receive_connector = "apps";
    envelope.client = "127.0.0.1";
    envelope.recipients.resize(1);
    envelope.recipients[0].forward_path = "recipient@example.org";
    queue_.commit(std::move(incoming), std::move(envelope), {{"example.org", {0}}},
                  [this](Result<void> result) {
                    if (result) ++accepted_;
                    if (accepted_ < kLives) accept();
                  });
  }
  net::Loop& loop_;
  ShardQueue& queue_;
  const std::string content_;
  int accepted_ = 0;
  int ended_ = 0;
};

void BM_AcceptAndSettle(benchmark::State& state) {
  for (auto _ : state) {
    state.PauseTiming();
    const std::string directory =
        std::filesystem::temp_directory_path() / ("sluice-bench-" + std::to_string(::getpid()));
    std::filesystem::remove_all(directory);
    QueueMetrics metrics;
    auto loop = std::move(*net::Loop::create());
    net::Loop* loops[] = {loop.get()};
    QueueOptions options;
    options.directory = directory;
    options.disk_reserve_bytes = 0;
    auto queue = Queue::open(options, loops, metrics);
    if (!queue) return state.SkipWithError(queue.error().detail.c_str());
    Lives lives(*loop, (*queue)->shard(0), static_cast<size_t>(state.range(1)));
    (*queue)->setListener(0, lives);
    (*queue)->startRecovery();
    loop->post([&] { lives.begin(static_cast<int>(state.range(0))); });
    const double cpu = cpuSeconds();
    state.ResumeTiming();
    loop->run();
    state.PauseTiming();
    state.counters["cpu_us"] = (cpuSeconds() - cpu) / kLives * 1e6;
    state.counters["syncs"] = static_cast<double>(metrics.syncs.value());
    (*queue)->close();
    queue->reset();
    std::filesystem::remove_all(directory);
    state.ResumeTiming();
  }
  state.SetItemsProcessed(state.iterations() * kLives);
}
BENCHMARK(BM_AcceptAndSettle)
    ->ArgsProduct({{1, 16, 64, 256, 1024}, {1500, 4096, 65536}})
    ->Iterations(1)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace sluice::queue

BENCHMARK_MAIN();
