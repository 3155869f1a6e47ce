#include "relay/submit/submission.h"

#include <algorithm>
#include <deque>
#include <utility>

#include "net/loop.h"
#include "net/smtp/client_protocol.h"
#include "net/tcp_stream.h"

namespace sluice::relay {
namespace {

using Told = std::function<void(const Submission&, const SubmissionOutcome&)>;

// A message on its way.
class Transaction final : public smtp::ClientTransaction, private smtp::ContentSource {
 public:
  explicit Transaction(Submission submission) : submission_(std::move(submission)) {
    reverse_path = submission_.sender;
    eight_bit = submission_.eight_bit;
    smtputf8 = submission_.smtputf8;
    ret = submission_.ret;
    envid = submission_.envid;
    for (const SubmittedRecipient& one : submission_.recipients) {
      recipients.push_back({one.path, one.notify, one.orcpt, std::nullopt});
    }
    content_bytes_.append(submission_.content);
    smtp::ClientTransaction::content = this;
  }
  const Submission& submission() const { return submission_; }

  SubmissionOutcome outcome(const std::optional<Error>& broken) const {
    SubmissionOutcome outcome;
    for (const smtp::ClientRecipient& one : recipients) {
      if (one.reply) outcome.recipient_replies.push_back(*one.reply);
    }
    if (mail_reply && !mail_reply->positive()) {
      outcome.reply = mail_reply;
    } else if (final_reply) {
      outcome.reply = final_reply;
      // An empty message may have been sent because no recipient was taken.
      outcome.taken = final_reply->positive() && anyRecipientTaken();
    } else if (data_reply && data_reply->code != 354) {
      outcome.reply = data_reply;
    } else {
      outcome.failure = broken;
    }
    return outcome;
  }

 private:
  uint64_t size() const override { return content_bytes_.size(); }
  size_t chunks() const override { return 1; }
  const std::vector<Slice>* inMemory() const override { return &content_bytes_.slices(); }
  void chunk(size_t, Done done) override { done(content_bytes_.slices()); }

  Submission submission_;
  ByteChain content_bytes_;
};

class Client final : private net::Stream::Handler, private smtp::ClientProtocol::Handler {
 public:
  Client(net::Loop& loop, const SubmissionTarget& target,
         const std::function<std::optional<Submission>()>& next, const Told& tell)
      : loop_(loop), target_(target), next_(next), tell_(tell) {
    smtp::ClientOptions options;
    options.helo = target.helo;
    protocol_ = std::make_unique<smtp::ClientProtocol>(
        std::move(options), static_cast<smtp::ClientProtocol::Handler&>(*this));
    deadline_.onDue([this] { end(Error{Errc::Timeout, "no answer in time"}); });
    connector_ =
        std::make_unique<net::TcpConnector>(loop, target.relay, std::nullopt, target.patience,
                                            [this](Result<std::unique_ptr<net::TcpStream>> stream) {
                                              if (!stream) return end(stream.error());
                                              stream_ = std::move(*stream);
                                              stream_->setHandler(this);
                                              arm();
                                            });
  }

  Result<void> run() {
    while (!over_) loop_.run();
    if (why_) return tl::unexpected(*why_);
    return {};
  }

 private:
  void arm() { deadline_.arm(loop_.deadlines(), target_.patience); }

  // net::Stream::Handler
  void onRead(std::string_view bytes) override {
    protocol_->onBytes(bytes);
    after();
  }
  void onDrained() override {
    protocol_->pump();
    after();
  }
  void onEnd(const Error& why) override { end(why); }

  // smtp::ClientProtocol::Handler
  void send(std::string_view bytes) override { stream_->write(bytes); }
  void send(Slice slice) override { stream_->write(std::move(slice)); }
  size_t unsentBytes() const override { return stream_->unsentBytes(); }
  void onOpen(const smtp::ServerOffer&) override {}
  void onRefused(smtp::Expect, const smtp::Reply& reply) override {
    broken_ = Error{Errc::Refused, reply.toString()};
  }
  smtp::ClientTransaction* nextTransaction() override {
    if (exhausted_) return nullptr;
    auto submission = next_();
    exhausted_ = !submission;
    if (exhausted_) return nullptr;
    under_way_.push_back(std::make_unique<Transaction>(std::move(*submission)));
    return under_way_.back().get();
  }
  void onDone(smtp::ClientTransaction& transaction) override {
    const auto at = std::find_if(under_way_.begin(), under_way_.end(),
                                 [&](const auto& one) { return one.get() == &transaction; });
    const std::unique_ptr<Transaction> done = std::move(*at);
    under_way_.erase(at);
    tell_(done->submission(), done->outcome(std::nullopt));
  }
  void onBroken(const Error& why, const std::optional<smtp::Reply>&) override { broken_ = why; }
  void onQuitDone() override {}
  void onContentCame() override {}

  void after() {
    if (broken_) return end(broken_);
    if (exhausted_ && under_way_.empty()) {
      protocol_->quit();
      return end(std::nullopt);
    }
    stream_->flush();
    // What the kernel took at once makes room that no onDrained() tells of.
    while (protocol_->waitsForRoom() && stream_->unsentBytes() <= net::TcpStream::kLowWaterBytes) {
      protocol_->pump();
      stream_->flush();
      if (broken_) return end(broken_);
    }
    arm();
  }

  void end(std::optional<Error> why) {
    if (std::exchange(over_, true)) return;
    deadline_.cancel();
    why_ = std::move(why);
    if (stream_) stream_->finish();
    for (smtp::ClientTransaction* one : protocol_->abandon()) {
      const auto& transaction = static_cast<Transaction&>(*one);
      tell_(transaction.submission(), transaction.outcome(why_));
    }
    loop_.stop();
  }

  net::Loop& loop_;
  const SubmissionTarget& target_;
  const std::function<std::optional<Submission>()>& next_;
  const Told& tell_;
  std::unique_ptr<net::TcpConnector> connector_;
  std::unique_ptr<net::Stream> stream_;
  std::unique_ptr<smtp::ClientProtocol> protocol_;
  std::deque<std::unique_ptr<Transaction>> under_way_;
  net::Deadline deadline_;
  std::optional<Error> broken_;
  std::optional<Error> why_;
  bool exhausted_ = false;
  bool over_ = false;
};

}  // namespace

bool SubmissionOutcome::allTaken() const {
  return taken && std::all_of(recipient_replies.begin(), recipient_replies.end(),
                              [](const smtp::Reply& reply) { return reply.positive(); });
}

std::string SubmissionOutcome::toString(const Submission& submission) const {
  std::string out;
  for (size_t i = 0; i < recipient_replies.size() && i < submission.recipients.size(); ++i) {
    if (recipient_replies[i].positive()) continue;
    out += "<" + submission.recipients[i].path + ">: " + recipient_replies[i].toString() + "; ";
  }
  if (reply) return out + reply->toString();
  if (failure) return out + failure->detail;
  return out.empty() ? "no answer" : out.substr(0, out.size() - 2);
}

Result<void> submitAll(const SubmissionTarget& target,
                       const std::function<std::optional<Submission>()>& next, const Told& tell) {
  ASSIGN_OR_RETURN(const auto loop, net::Loop::create());
  Client client(*loop, target, next, tell);
  return client.run();
}

}  // namespace sluice::relay
