#include "relay/deliver/settler.h"

#include <fmt/format.h>

#include <algorithm>
#include <random>
#include <utility>

#include "net/smtp/path.h"
#include "relay/deliver/attempt_tracks.h"
#include "relay/notify/notice_schedule.h"
#include "relay/route/redirected_key.h"

namespace sluice::relay {

using queue::Settlement;
using queue::TrackKind;

// One settlement being put together.
struct Settler::Step {
  std::unique_ptr<queue::Work> work;
  AttemptPlace place;
  ConnectorMetrics* counters = nullptr;
  WallTime now{};
  std::optional<WallTime> due;  // drawn once, so that deferred recipients stay one group
  std::vector<Settlement> settlements;
  std::vector<RecipientReport> failed;
  std::vector<RecipientReport> delayed;
  std::vector<RecipientReport> relayed;
  AttemptTracks tracks;

  const queue::Envelope& envelope() const { return work->envelope(); }
  bool wantsNotice() const { return !failed.empty() || !delayed.empty() || !relayed.empty(); }
};

namespace {

// Indexes into metrics::kDeliveryResults.
enum Counted : size_t { kDelivered, kDeferred, kBounced, kExpired, kDiscarded };

constexpr size_t kMaxOriginalBytes = 256 * 1024;

double randomFraction() {
  static thread_local std::minstd_rand generator{std::random_device{}()};
  return std::uniform_real_distribution<double>(0, 1)(generator);
}

std::string lastReply(const Verdict& verdict, const AttemptPlace& place) {
  if (!verdict.from_peer) return verdict.text;
  return fmt::format("{} [{}]: {}", place.mx, place.address, verdict.said);
}

// RFC 3464 wants an address, which has no port.
std::string addressOnly(const std::string& endpoint) {
  const auto parsed = Endpoint::parse(endpoint);
  return parsed ? parsed->address.toString() : endpoint;
}

RecipientReport reportOf(uint16_t recipient, RecipientReport::Action action, const Verdict& verdict,
                         const AttemptPlace& place, WallTime now) {
  RecipientReport report;
  report.recipient = recipient;
  report.action = action;
  report.status = verdict.status;
  if (verdict.from_peer) {
    report.remote_mta = place.mx;
    report.remote_address = addressOnly(place.address);
    report.diagnostic = verdict.said;
  } else {
    report.diagnostic = verdict.text;
  }
  report.diagnostic_is_smtp = verdict.from_peer;
  report.last_attempt = now;
  return report;
}

NoticeTimes noticeTimes(const Config& config) {
  return {config.queue.delay_notice, config.queue.lifetime};
}

queue::RetryPolicy retryPolicy(const QueueConfig& config) {
  queue::RetryPolicy policy;
  policy.first = config.retry_first;
  policy.factor = config.retry_factor;
  policy.max = config.retry_max;
  policy.jitter = config.retry_jitter;
  policy.lifetime = config.lifetime;
  return policy;
}

// A host on the way lacks 8BITMIME or SMTPUTF8, and the way back may lead over it too.
bool needsSevenBits(const std::vector<RecipientReport>& reports) {
  return std::any_of(reports.begin(), reports.end(), [](const RecipientReport& report) {
    return report.status == "5.6.3" || report.status == "5.6.7";
  });
}

std::string toSevenBits(std::string_view text) {
  std::string out(text);
  std::replace_if(
      out.begin(), out.end(), [](char c) { return (static_cast<unsigned char>(c) & 0x80) != 0; },
      '?');
  return out;
}

queue::Envelope toSevenBits(queue::Envelope envelope) {
  envelope.smtputf8 = false;
  for (queue::Recipient& recipient : envelope.recipients) {
    recipient.forward_path = toSevenBits(recipient.forward_path);
  }
  return envelope;
}

TrackKind eventOf(HandEnd how) {
  if (how == HandEnd::Bounce) return TrackKind::Bounced;
  return how == HandEnd::Expire ? TrackKind::Expired : TrackKind::Discarded;
}

// The first bytes of some slices, at most `limit`.
std::string prefixOf(const std::vector<Slice>& slices, size_t limit) {
  std::string out;
  for (const Slice& slice : slices) {
    if (out.size() >= limit) break;
    out.append(slice.bytes.substr(0, limit - out.size()));
  }
  return out;
}

}  // namespace

Settler::Settler(DeliveryContext& context) : context_(context), notice_signer_(context) {}
Settler::~Settler() = default;

void Settler::settle(std::unique_ptr<queue::Work> work,
                     const std::vector<RecipientVerdict>& verdicts, const AttemptPlace& place) {
  auto step = std::make_unique<Step>();
  step->work = std::move(work);
  step->place = place;
  step->counters = &context_.metricsOf(place.connector);
  step->now = context_.loop.wallNow();
  step->settlements.reserve(verdicts.size());
  for (const RecipientVerdict& one : verdicts) add(*step, one.recipient, one.verdict);
  finish(std::move(step));
}

void Settler::settleAll(std::unique_ptr<queue::Work> work, const Verdict& verdict,
                        const AttemptPlace& place) {
  std::vector<RecipientVerdict> verdicts;
  for (const uint16_t recipient : work->recipients()) verdicts.push_back({recipient, verdict});
  settle(std::move(work), verdicts, place);
}

void Settler::add(Step& step, uint16_t recipient, const Verdict& verdict) {
  switch (verdict.kind) {
    case Verdict::Kind::Delivered:
    case Verdict::Kind::Bounced:
      return addEnd(step, recipient, verdict);
    case Verdict::Kind::Deferred:
      return addDeferral(step, recipient, verdict);
    case Verdict::Kind::Again: {
      Settlement settlement;
      settlement.recipient = recipient;
      settlement.what = Settlement::What::Ready;
      settlement.count_attempt = false;
      settlement.delay_notified = step.work->attempts().delay_notified;
      settlement.last_reply = step.work->attempts().last_reply;
      step.settlements.push_back(std::move(settlement));
      return;
    }
  }
}

void Settler::addEnd(Step& step, uint16_t recipient, const Verdict& verdict) {
  Settlement settlement;
  settlement.recipient = recipient;
  settlement.what = Settlement::What::Ended;
  step.settlements.push_back(std::move(settlement));
  const uint32_t attempts = step.work->attempts().attempts + 1;
  if (verdict.kind == Verdict::Kind::Delivered) {
    step.counters->delivered.add();
    context_.count(step.place.destination, kDelivered);
    const auto delay = step.now - step.envelope().received_at;
    step.counters->delay_seconds.observe(std::chrono::duration<double>(delay).count());
    emit(step, TrackKind::Delivered, recipient, verdict, attempts);
    if (!step.place.passes_dsn && step.envelope().recipients[recipient].notify.success) {
      step.relayed.push_back(
          reportOf(recipient, RecipientReport::Action::Relayed, verdict, step.place, step.now));
    }
    return;
  }
  step.counters->bounced.add();
  context_.count(step.place.destination, kBounced);
  emit(step, TrackKind::Bounced, recipient, verdict, attempts);
  step.failed.push_back(
      reportOf(recipient, RecipientReport::Action::Failed, verdict, step.place, step.now));
}

WallTime Settler::deferUntil(Step& step) {
  if (!step.due) {
    step.due =
        queue::nextDue(retryPolicy(context_.config->queue), step.work->attempts().attempts + 1,
                       step.envelope().received_at, step.now, randomFraction());
  }
  return *step.due;
}

void Settler::addDeferral(Step& step, uint16_t recipient, const Verdict& verdict) {
  const NoticeTimes times = noticeTimes(*context_.config);
  const WallTime accepted = step.envelope().received_at;
  const uint32_t attempts = step.work->attempts().attempts + 1;
  if (verdict.ambiguous) step.counters->ambiguous.add();
  Settlement settlement;
  settlement.recipient = recipient;
  if (lifetimeOver(accepted, step.now, times)) {
    settlement.what = Settlement::What::Ended;
    step.settlements.push_back(std::move(settlement));
    step.counters->expired.add();
    context_.count(step.place.destination, kExpired);
    emit(step, TrackKind::Expired, recipient, verdict, attempts);
    RecipientReport report =
        reportOf(recipient, RecipientReport::Action::Failed, verdict, step.place, step.now);
    report.expired = true;
    step.failed.push_back(std::move(report));
    return;
  }
  settlement.what = Settlement::What::Deferred;
  settlement.due = deferUntil(step);
  settlement.last_reply = lastReply(verdict, step.place);
  settlement.delay_notified = step.work->attempts().delay_notified;
  const queue::QueueKey key = keyFor(*step.work);
  if (key != step.work->key()) settlement.key = key;
  step.counters->deferred.add();
  context_.count(step.place.destination, kDeferred);
  emit(step, TrackKind::Deferred, recipient, verdict, attempts);
  if (delayNoticeDue(accepted, settlement.delay_notified, step.now, times)) {
    settlement.delay_notified = true;
    RecipientReport report =
        reportOf(recipient, RecipientReport::Action::Delayed, verdict, step.place, step.now);
    report.will_retry_until = expiresAt(accepted, times);
    step.delayed.push_back(std::move(report));
  }
  step.settlements.push_back(std::move(settlement));
}

void Settler::emit(Step& step, TrackKind kind, uint16_t recipient, const Verdict& verdict,
                   uint32_t attempts) {
  step.tracks.add(kind, recipient, verdict, attempts);
  const queue::Envelope& envelope = step.envelope();
  MessageEvent out;
  out.event = toString(kind);
  out.id = step.work->id().toString();
  out.sender = envelope.reverse_path.empty() ? "<>" : envelope.reverse_path;
  out.recipient = envelope.recipients[recipient].forward_path;
  out.size = envelope.content_bytes;
  out.connector = step.place.connector;
  out.destination = step.place.destination;
  out.mx = step.place.mx;
  out.address = step.place.address;
  out.tls = step.place.tls;
  out.code = verdict.code;
  out.status = verdict.status;
  out.reply = verdict.text;
  out.attempts = attempts;
  out.delay_s = std::chrono::duration<double>(step.now - envelope.received_at).count();
  context_.log.message(std::move(out));
}

void Settler::finish(std::unique_ptr<Step> step) {
  step->tracks.keepWith(*step->work, step->place, step->now, step->due);
  step->failed = dueReports(step->envelope(), NoticeKind::Failure, std::move(step->failed));
  step->delayed = dueReports(step->envelope(), NoticeKind::Delay, std::move(step->delayed));
  step->relayed = dueReports(step->envelope(), NoticeKind::Success, std::move(step->relayed));
  if (!step->wantsNotice()) return write(std::move(step), {}, false);
  queue::Content& content = step->work->content();
  if (const auto* slices = content.inMemory()) {
    const std::string original = prefixOf(*slices, kMaxOriginalBytes);
    const bool complete = original.size() == content.size();
    return write(std::move(step), original, complete);
  }
  Step* waiting = step.get();
  reading_.push_back(std::move(step));
  content.chunk(0, [this, waiting](Result<std::vector<Slice>> slices) {
    const auto found = std::find_if(reading_.begin(), reading_.end(),
                                    [&](const auto& one) { return one.get() == waiting; });
    if (found == reading_.end()) return;
    std::unique_ptr<Step> ready = std::move(*found);
    reading_.erase(found);
    // Unreadable content: the notice goes out without it.
    const std::string original = slices ? prefixOf(*slices, kMaxOriginalBytes) : std::string();
    const bool complete = slices && original.size() == ready->work->content().size();
    // Later: the content must not be destroyed from within its own callback.
    context_.loop.defer([this, original, complete,
                         step = std::make_shared<std::unique_ptr<Step>>(std::move(ready))] {
      write(std::move(*step), original, complete);
    });
  });
}

void Settler::write(std::unique_ptr<Step> step, std::string_view original, bool complete) {
  std::vector<queue::NewMessage> notices;
  if (step->wantsNotice()) {
    const auto add = [&](NoticeKind kind, std::vector<RecipientReport> reports) {
      for (auto& share : noticeShares(step->envelope(), std::move(reports))) {
        addNotice(*step, kind, std::move(share), original, complete, notices);
      }
    };
    add(NoticeKind::Failure, std::move(step->failed));
    add(NoticeKind::Delay, std::move(step->delayed));
    add(NoticeKind::Success, std::move(step->relayed));
  }
  auto settle = [this, step = std::move(step)](std::vector<queue::NewMessage> ready) {
    context_.queue.settle(std::move(step->work), std::move(step->settlements), std::move(ready),
                          nullptr);
  };
  if (notices.empty()) return settle({});
  notice_signer_.sign(std::move(notices), std::move(settle));
}

void Settler::addNotice(Step& step, NoticeKind kind, std::vector<RecipientReport> reports,
                        std::string_view original, bool complete,
                        std::vector<queue::NewMessage>& notices) {
  const queue::Envelope& envelope = step.envelope();
  const auto domain = smtp::domainKey(smtp::domainOf(envelope.reverse_path));
  const auto key = domain ? context_.router->queueKey(*domain)
                          : Result<queue::QueueKey>(tl::unexpected<Error>(domain.error()));
  if (!key) {
    context_.metrics.notices_undeliverable.add();
    context_.log.log({LogLevel::Warn,
                      "notice_undeliverable",
                      {{"id", step.work->id().toString()},
                       {"sender", envelope.reverse_path},
                       {"reason", key.error().detail}}});
    return;
  }
  NoticeSettings settings;
  settings.hostname = context_.config->hostname;
  settings.postmaster = context_.config->postmaster;
  settings.lifetime = context_.config->queue.lifetime;
  const std::string unique = fmt::format("{}.{:x}.{}", step.work->id().toString(),
                                         step.now.time_since_epoch().count(), ++notices_made_);
  const bool seven_bits = needsSevenBits(reports);
  queue::NewMessage notice =
      seven_bits ? makeNotice(kind, settings, step.work->id(), toSevenBits(envelope),
                              toSevenBits(original), complete, reports, step.now, unique)
                 : makeNotice(kind, settings, step.work->id(), envelope, original, complete,
                              reports, step.now, unique);
  // RFC 8689 section 5: a notice about a message that demands TLS demands it, too, where it can.
  notice.envelope.require_tls = envelope.require_tls;
  notice.groups = {{*key, {0}}};
  notices.push_back(std::move(notice));
  MessageEvent event;
  event.event = "notice";
  event.id = step.work->id().toString();
  event.sender = "<>";
  event.recipient = envelope.reverse_path;
  event.status = reports.front().status;
  switch (kind) {
    case NoticeKind::Failure:
      context_.metrics.failure_notices.add();
      event.reply = "failure notice";
      break;
    case NoticeKind::Delay:
      context_.metrics.delay_notices.add();
      event.reply = "delay notice";
      break;
    case NoticeKind::Success:
      context_.metrics.success_notices.add();
      event.reply = "success notice";
      break;
  }
  step.work->track({.kind = TrackKind::Notice,
                    .id = step.work->id(),
                    .time = step.now,
                    .recipients = {envelope.reverse_path},
                    .status = event.status,
                    .reply = event.reply});
  context_.log.message(std::move(event));
}

void Settler::endByHand(std::unique_ptr<queue::Work> work, HandEnd how, const AttemptPlace& place) {
  auto step = std::make_unique<Step>();
  step->work = std::move(work);
  step->now = context_.loop.wallNow();
  step->place = place;
  step->counters = &context_.metricsOf(place.connector);
  const bool expired = how == HandEnd::Expire;
  const std::string& last = step->work->attempts().last_reply;
  Verdict verdict;
  verdict.kind = Verdict::Kind::Bounced;
  verdict.status = expired ? "4.4.7" : "5.7.0";
  verdict.text = expired ? "an administrator ended its lifetime"
                         : "removed from the queue by an administrator";
  if (!last.empty()) verdict.text += "; last reply: " + last;
  for (const uint16_t recipient : step->work->recipients()) {
    Settlement settlement;
    settlement.recipient = recipient;
    settlement.what = Settlement::What::Ended;
    step->settlements.push_back(std::move(settlement));
    countByHand(*step, how);
    emit(*step, eventOf(how), recipient, verdict, step->work->attempts().attempts);
    if (how == HandEnd::Discard) continue;
    step->failed.push_back(
        reportOf(recipient, RecipientReport::Action::Failed, verdict, step->place, step->now));
    step->failed.back().expired = expired;
  }
  finish(std::move(step));
}

void Settler::countByHand(const Step& step, HandEnd how) {
  switch (how) {
    case HandEnd::Bounce:
      step.counters->bounced.add();
      return context_.count(step.place.destination, kBounced);
    case HandEnd::Discard:
      step.counters->discarded.add();
      return context_.count(step.place.destination, kDiscarded);
    case HandEnd::Expire:
      step.counters->expired.add();
      return context_.count(step.place.destination, kExpired);
  }
}

void Settler::settleOverdue(std::unique_ptr<queue::Work> work, const std::string& reason,
                            const AttemptPlace& place) {
  const NoticeTimes times = noticeTimes(*context_.config);
  const WallTime now = context_.loop.wallNow();
  const WallTime accepted = work->envelope().received_at;
  Verdict verdict;
  verdict.kind = Verdict::Kind::Deferred;
  verdict.status = "4.4.1";
  verdict.text = reason;
  if (lifetimeOver(accepted, now, times)) return settleAll(std::move(work), verdict, place);
  if (!delayNoticeDue(accepted, work->attempts().delay_notified, now, times)) return;
  auto step = std::make_unique<Step>();
  step->work = std::move(work);
  step->place = place;
  step->now = now;
  step->counters = &context_.metricsOf(place.connector);
  for (const uint16_t recipient : step->work->recipients()) {
    Settlement settlement;
    settlement.recipient = recipient;
    settlement.what = Settlement::What::Ready;
    settlement.count_attempt = false;
    settlement.delay_notified = true;
    settlement.last_reply = reason;
    step->settlements.push_back(std::move(settlement));
    RecipientReport report =
        reportOf(recipient, RecipientReport::Action::Delayed, verdict, place, now);
    report.will_retry_until = expiresAt(accepted, times);
    step->delayed.push_back(std::move(report));
  }
  finish(std::move(step));
}

void Settler::moveEach(std::unique_ptr<queue::Work> work,
                       const std::function<queue::QueueKey(const queue::Recipient&)>& key_of) {
  std::vector<Settlement> settlements;
  for (const uint16_t recipient : work->recipients()) {
    Settlement settlement;
    settlement.recipient = recipient;
    settlement.what = Settlement::What::Ready;
    settlement.count_attempt = false;
    settlement.key = key_of(work->envelope().recipients[recipient]);
    settlement.delay_notified = work->attempts().delay_notified;
    settlement.last_reply = work->attempts().last_reply;
    settlements.push_back(std::move(settlement));
  }
  context_.queue.settle(std::move(work), std::move(settlements), {}, nullptr);
}

void Settler::moveTo(std::unique_ptr<queue::Work> work, const queue::QueueKey& key) {
  moveEach(std::move(work), [&key](const queue::Recipient&) { return key; });
}

void Settler::redirect(std::unique_ptr<queue::Work> work, const SendConfig& connector) {
  const queue::QueueKey as_it_is = work->key();
  const TlsWish wish = wishOf(work->envelope());
  moveEach(std::move(work), [&](const queue::Recipient& recipient) {
    const auto domain = smtp::domainKey(smtp::domainOf(recipient.forward_path));
    return domain ? withWish(redirectedKey(connector, *domain), wish) : as_it_is;
  });
}

// Where the present routes would queue it: a message that failed over to another connector goes
// back to its first choice for the next attempt. One that was redirected stays so.
queue::QueueKey Settler::keyFor(const queue::Work& work) const {
  if (parseRedirectedKey(work.key())) return work.key();
  const queue::Recipient& first = work.envelope().recipients[work.recipients().front()];
  const auto domain = smtp::domainKey(smtp::domainOf(first.forward_path));
  if (!domain) return work.key();
  const auto key = context_.router->queueKey(*domain, wishOf(work.envelope()));
  return key ? *key : work.key();
}

}  // namespace sluice::relay
