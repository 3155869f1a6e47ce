// Who is told of yesterday's TLS, and when? Looks up where each domain wants its report, and queues
// it there as mail of our own.
//
// One a relay, on one shard's loop. Reports of a day go out one after the other, spread over the
// hours after it; what was missed while the relay was down, at once. The ledger is written to a
// file now and then, so that a restart loses at most a minute's counts.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>

#include "metrics/cells.h"
#include "net/deadlines.h"
#include "relay/deliver/delivery_context.h"
#include "relay/deliver/notice_signer.h"
#include "relay/report/tls_ledger.h"
#include "relay/report/tls_report.h"

namespace sluice::relay {

// Beside the queue.
inline std::string tlsResultsFile(const Config& config) {
  return config.data_dir + "/tls-results.json";
}

struct TlsReportMetrics {
  metrics::Counter sent;
  metrics::Counter failed;
};

class TlsReporter {
 public:
  static constexpr std::chrono::hours kSpread{4};        // after midnight
  static constexpr std::chrono::hours kRetryAfter{1};    // name servers failed
  static constexpr std::chrono::hours kGiveUpAfter{48};  // after the end of the day

  TlsReporter(DeliveryContext& context, TlsLedger& ledger, std::string file,
              TlsReportMetrics& metrics);
  ~TlsReporter();

  // The ledger as it was saved. A file that cannot be used is told and begun anew.
  static void load(TlsLedger& ledger, const std::string& file, EventLog& log);
  // Writes what has changed, now.
  static Result<void> save(TlsLedger& ledger, const std::string& file);

 private:
  void onTick();
  void saveOffLoop();
  void sendNext();
  std::optional<TlsLedger::Entry> nextDue() const;
  void onRecord(Result<std::vector<std::string>> texts);
  void mail(const TlsReportWishes& wishes);
  void submit(std::vector<queue::NewMessage> reports);
  void onSubmitted(const Result<queue::MessageId>& id);
  void finish(bool sent, const std::string& why);
  void again();

  DeliveryContext& context_;
  TlsLedger& ledger_;
  const std::string file_;
  TlsReportMetrics& metrics_;
  NoticeSigner signer_;
  std::optional<TlsLedger::Entry> sending_;
  std::set<TlsLedger::Entry> put_off_;  // until `put_off_until_`
  SteadyTime put_off_until_{};
  size_t submitting_ = 0;
  bool any_submitted_ = false;
  std::unique_ptr<net::Lookup> lookup_;
  net::Deadline tick_;
  std::shared_ptr<char> alive_ = std::make_shared<char>();
};

}  // namespace sluice::relay
