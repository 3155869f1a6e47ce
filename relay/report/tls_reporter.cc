#include "relay/report/tls_reporter.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <functional>
#include <iterator>

#include "net/smtp/path.h"
#include "relay/report/gzip.h"

namespace sluice::relay {
namespace {

constexpr std::chrono::seconds kTickPeriod{15};
constexpr int kTicksBetweenSaves = 4;
constexpr size_t kMaxFileBytes = 64 << 20;

WallTime endOf(const TlsLedger::Entry& entry) { return entry.first + std::chrono::days(1); }

// The same for a domain every day, and different for different ones.
WallTime dueAt(const TlsLedger::Entry& entry) {
  const auto spread = std::chrono::duration_cast<std::chrono::seconds>(TlsReporter::kSpread);
  const auto share = std::hash<std::string>{}(entry.second) % static_cast<size_t>(spread.count());
  return endOf(entry) + std::chrono::seconds(share);
}

Result<void> writeWhole(const std::string& path, std::string_view bytes) {
  const std::string beside = path + ".new";
  const auto failed = [&](const char* what) {
    return fail(Errc::Io, fmt::format("{} {}: {}", what, beside, std::strerror(errno)));
  };
  const int file = ::open(beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (file < 0) return failed("cannot create");
  while (!bytes.empty()) {
    const ssize_t count = ::write(file, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      const auto error = failed("cannot write");
      ::close(file);
      return error;
    }
    bytes.remove_prefix(static_cast<size_t>(count));
  }
  const bool synced = ::fdatasync(file) == 0;
  if (::close(file) != 0 || !synced) return failed("cannot write");
  if (std::rename(beside.c_str(), path.c_str()) != 0) return failed("cannot put in place");
  return {};
}

}  // namespace

void TlsReporter::load(TlsLedger& ledger, const std::string& file, EventLog& log) {
  std::ifstream in(file, std::ios::binary);
  if (!in) return;
  const std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  const auto restored = text.size() <= kMaxFileBytes
                            ? ledger.restore(text)
                            : Result<void>(fail(Errc::TooLarge, "it is too large"));
  if (restored) return;
  log.log(
      {LogLevel::Warn, "tls_results_lost", {{"file", file}, {"reason", restored.error().detail}}});
}

Result<void> TlsReporter::save(TlsLedger& ledger, const std::string& file) {
  const auto changed = ledger.takeChanges();
  if (!changed) return {};
  return writeWhole(file, *changed);
}

TlsReporter::TlsReporter(DeliveryContext& context, TlsLedger& ledger, std::string file,
                         TlsReportMetrics& metrics)
    : context_(context),
      ledger_(ledger),
      file_(std::move(file)),
      metrics_(metrics),
      signer_(context) {
  tick_.onDue([this, ticks = 0]() mutable {
    tick_.arm(context_.loop.deadlines(), kTickPeriod);
    if (++ticks % kTicksBetweenSaves == 0) saveOffLoop();
    onTick();
  });
  tick_.arm(context_.loop.deadlines(), std::chrono::seconds(1));
}

TlsReporter::~TlsReporter() = default;

void TlsReporter::saveOffLoop() {
  if (context_.workers == nullptr) return;
  context_.workers->run([&ledger = ledger_, file = file_, &log = context_.log] {
    if (const auto saved = save(ledger, file); !saved) {
      log.logLimited(
          "tls_results_not_saved",
          {LogLevel::Error, "tls_results_not_saved", {{"reason", saved.error().detail}}});
    }
  });
}

void TlsReporter::onTick() {
  if (context_.loop.now() >= put_off_until_) put_off_.clear();
  if (!sending_ && !context_.config->tls_report.from.empty()) sendNext();
}

std::optional<TlsLedger::Entry> TlsReporter::nextDue() const {
  const WallTime now = context_.loop.wallNow();
  for (const TlsLedger::Entry& entry : ledger_.finished(dayOf(now))) {
    if (dueAt(entry) <= now && !put_off_.contains(entry)) return entry;
  }
  return std::nullopt;
}

void TlsReporter::sendNext() {
  sending_ = nextDue();
  if (!sending_) return;
  // The answer may come from within the call; the look-up is dropped on the next turn.
  lookup_ = context_.resolver.txt(
      "_smtp._tls." + sending_->second, [this](Result<std::vector<std::string>> texts) {
        context_.loop.defer([this, alive = std::weak_ptr<char>(alive_), texts = std::move(texts)] {
          if (!alive.expired()) onRecord(texts);
        });
      });
}

void TlsReporter::onRecord(Result<std::vector<std::string>> texts) {
  lookup_.reset();
  if (!texts) {
    const Errc code = texts.error().code;
    if (code == Errc::NoDomain || code == Errc::NoData) return finish(false, "");
    if (context_.loop.wallNow() > endOf(*sending_) + kGiveUpAfter) {
      return finish(false, texts.error().detail);
    }
    put_off_.insert(*sending_);
    put_off_until_ = context_.loop.now() + kRetryAfter;
    return again();
  }
  const auto wishes = readReportRecord(*texts);
  if (!wishes) {
    return finish(false, wishes.error().code == Errc::NotFound ? "" : wishes.error().detail);
  }
  mail(*wishes);
}

void TlsReporter::mail(const TlsReportWishes& wishes) {
  if (wishes.mailboxes.empty()) {
    return finish(false, "it is wanted by HTTPS only, which this relay does not do");
  }
  const TlsReportConfig& config = context_.config->tls_report;
  const TlsReportFacts facts{config.organization,       config.contact, config.from,
                             context_.config->hostname, *sending_,      context_.loop.wallNow()};
  const auto tallies = ledger_.find(*sending_);
  const auto compressed = gzip(makeReportJson(facts, tallies.value_or(TlsTallies())));
  if (!compressed) return finish(false, compressed.error().detail);
  std::vector<queue::NewMessage> reports;
  for (const std::string& mailbox : wishes.mailboxes) {
    const auto domain = smtp::domainKey(smtp::domainOf(mailbox));
    if (!domain) continue;
    // RFC 8460 section 5.3: the faults that are reported must not keep the report back.
    const auto key = context_.router->queueKey(*domain, TlsWish::Optional);
    if (!key) continue;
    const std::string content = makeReportMail(facts, mailbox, *compressed);
    queue::NewMessage report;
    report.envelope.recipients.push_back({mailbox, {}, {}});
    report.envelope.tls_optional = true;
    report.envelope.received_at = facts.now;
    report.envelope.content_bytes = content.size();
    report.content.append(content);
    report.groups = {{*key, {0}}};
    reports.push_back(std::move(report));
  }
  if (reports.empty()) return finish(false, "no send connector takes it");
  signer_.sign(std::move(reports),
               [this, alive = std::weak_ptr<char>(alive_)](std::vector<queue::NewMessage> ready) {
                 if (!alive.expired()) submit(std::move(ready));
               });
}

void TlsReporter::submit(std::vector<queue::NewMessage> reports) {
  submitting_ = reports.size();
  any_submitted_ = false;
  for (queue::NewMessage& report : reports) {
    context_.queue.submit(std::move(report), [this, alive = std::weak_ptr<char>(alive_)](
                                                 const Result<queue::MessageId>& id) {
      if (!alive.expired()) onSubmitted(id);
    });
  }
}

void TlsReporter::onSubmitted(const Result<queue::MessageId>& id) {
  if (id) {
    any_submitted_ = true;
    context_.log.log({LogLevel::Info,
                      "tls_report_queued",
                      {{"id", id->toString()},
                       {"domain", sending_->second},
                       {"day", formatDay(sending_->first)}}});
  }
  if (--submitting_ > 0) return;
  if (any_submitted_) return finish(true, "");
  put_off_.insert(*sending_);  // the queue does not take it now
  put_off_until_ = context_.loop.now() + kRetryAfter;
  again();
}

// Nothing more is to be said of this day to this domain; `why` if it should have been.
void TlsReporter::finish(bool sent, const std::string& why) {
  if (sent) metrics_.sent.add();
  if (!why.empty()) {
    metrics_.failed.add();
    context_.log.log(
        {LogLevel::Warn,
         "tls_report_failed",
         {{"domain", sending_->second}, {"day", formatDay(sending_->first)}, {"reason", why}}});
  }
  ledger_.drop(*sending_);
  again();
}

void TlsReporter::again() {
  sending_.reset();
  context_.loop.defer([this, alive = std::weak_ptr<char>(alive_)] {
    if (!alive.expired() && !sending_) onTick();
  });
}

}  // namespace sluice::relay
