#include "net/http/https_client.h"

#include <algorithm>
#include <optional>

#include "net/tcp_stream.h"
#include "net/tls/tls_stream.h"

namespace sluice::net {
namespace {

constexpr size_t kMaxAddressesTried = 4;
constexpr std::chrono::seconds kConnectTimeout{10};  // for one address, within the whole time

std::string headOf(const HttpsRequest& request) {
  std::string head = request.method + " " + request.url.target +
                     " HTTP/1.1\r\nHost: " + request.url.authority() +
                     "\r\nUser-Agent: sluice\r\nConnection: close\r\n";
  for (const auto& [name, value] : request.headers) head += name + ": " + value + "\r\n";
  if (!request.body.empty() || request.method == "POST") {
    head += "Content-Length: " + std::to_string(request.body.size()) + "\r\n";
  }
  return head + "\r\n";
}

}  // namespace

// One request on its way: find an address, connect, shake hands, ask, hear.
class HttpsClient::Exchange final : private Stream::Handler {
 public:
  Exchange(HttpsClient& client, HttpsRequest request, Done done)
      : client_(client),
        request_(std::move(request)),
        done_(std::move(done)),
        parser_(request_.max_body_bytes),
        deadline_([this] { finish(fail(Errc::Timeout, who() + ": no answer in time")); }),
        attempt_([this] {
          addressFailed({Errc::Timeout, "no TLS handshake in time"});
        }) {
    deadline_.arm(client_.loop().deadlines(), request_.time_limit);
  }

  void start();
  // Calls `done` and has the client drop this on the loop's next turn.
  void finish(Result<HttpAnswer> answer);

 private:
  void onAddresses(Result<AddressAnswer> answer);
  bool mayReach(const IpAddress& address) const;
  void nextAddress();
  void onConnected(Result<std::unique_ptr<TcpStream>> stream);
  void onSecured();
  void onRead(std::string_view bytes) override;
  void onEnd(const Error& why) override;
  void addressFailed(Error why);
  std::string who() const { return request_.url.authority(); }

  HttpsClient& client_;
  HttpsRequest request_;
  Done done_;
  HttpAnswerParser parser_;
  Deadline deadline_;
  Deadline attempt_;  // one address: connected and secure by then
  std::unique_ptr<Lookup> lookup_;
  std::vector<IpAddress> addresses_;
  size_t next_address_ = 0;
  std::unique_ptr<TcpConnector> connector_;
  std::unique_ptr<Stream> stream_;
  std::optional<Error> failure_;
  bool asked_ = false;  // the request has been sent: no other address gets it
  bool over_ = false;
  std::shared_ptr<char> alive_ = std::make_shared<char>();
};

void HttpsClient::Exchange::start() {
  if (!request_.trust) return finish(fail(Errc::InvalidArgument, "nobody to believe"));
  if (const auto literal = IpAddress::parse(request_.url.host)) {
    return onAddresses(AddressAnswer{.addresses = {*literal}});
  }
  const auto done = [this](Result<AddressAnswer> answer) { onAddresses(std::move(answer)); };
  auto lookup = request_.host_is_configured
                    ? client_.resolver_->smartHostAddresses(request_.url.host, done)
                    : client_.resolver_->addresses(request_.url.host, done);
  if (addresses_.empty() && !over_) lookup_ = std::move(lookup);
}

bool HttpsClient::Exchange::mayReach(const IpAddress& address) const {
  return request_.host_is_configured || !address.isPrivate() ||
         std::any_of(request_.allow_private.begin(), request_.allow_private.end(),
                     [&](const IpNetwork& network) { return network.contains(address); });
}

void HttpsClient::Exchange::onAddresses(Result<AddressAnswer> answer) {
  if (over_) return;
  if (!answer) return finish(fail(answer.error().code, who() + ": " + answer.error().detail));
  for (const IpAddress& address : answer->addresses) {
    if (mayReach(address)) {
      if (addresses_.size() < kMaxAddressesTried) addresses_.push_back(address);
    } else {
      failure_ = Error{Errc::AddressRefused,
                       who() + " leads to " + address.toString() + ", which is no public address"};
    }
  }
  nextAddress();
}

void HttpsClient::Exchange::nextAddress() {
  if (next_address_ == addresses_.size()) {
    return finish(
        tl::unexpected(failure_.value_or(Error{Errc::Unreachable, who() + ": no address to try"})));
  }
  const Endpoint to{addresses_[next_address_++], request_.url.port};
  connector_ = std::make_unique<TcpConnector>(
      client_.loop(), to, std::nullopt, kConnectTimeout,
      [this](Result<std::unique_ptr<TcpStream>> stream) { onConnected(std::move(stream)); });
}

void HttpsClient::Exchange::onConnected(Result<std::unique_ptr<TcpStream>> stream) {
  if (over_) return;
  if (!stream) return addressFailed(stream.error());
  auto secure =
      TlsStream::client(client_.loop(), std::move(*stream), request_.trust,
                        {request_.url.host, request_.url.port, true}, [this] { onSecured(); });
  if (!secure) return addressFailed(secure.error());
  stream_ = std::move(*secure);
  stream_->setHandler(this);
  attempt_.arm(client_.loop().deadlines(), kConnectTimeout);
}

void HttpsClient::Exchange::onSecured() {
  attempt_.cancel();
  asked_ = true;
  stream_->write(headOf(request_));
  stream_->write(request_.body);
  stream_->flush();
}

void HttpsClient::Exchange::onRead(std::string_view bytes) {
  if (over_) return;
  const auto whole = parser_.feed(bytes);
  if (!whole) return finish(fail(whole.error().code, who() + ": " + whole.error().detail));
  if (*whole) finish(parser_.take());
}

void HttpsClient::Exchange::onEnd(const Error& why) {
  if (over_) return;
  if (!asked_) return addressFailed(why);
  const auto ended = why.code == Errc::Closed ? parser_.end() : tl::unexpected<Error>(why);
  if (!ended) return finish(fail(ended.error().code, who() + ": " + ended.error().detail));
  finish(parser_.take());
}

// The next one may do better; on the next turn, as the stream may be calling.
void HttpsClient::Exchange::addressFailed(Error why) {
  attempt_.cancel();
  if (stream_) stream_->close();
  failure_ = Error{why.code, who() + ": " + why.detail};
  client_.loop().defer([this, alive = std::weak_ptr<char>(alive_)] {
    if (alive.expired() || over_) return;
    stream_.reset();
    nextAddress();
  });
}

void HttpsClient::Exchange::finish(Result<HttpAnswer> answer) {
  if (std::exchange(over_, true)) return;
  deadline_.cancel();
  attempt_.cancel();
  if (stream_) stream_->close();
  Done done = std::move(done_);
  if (done) done(std::move(answer));
  client_.onEnd(*this);
}

HttpsClient::HttpsClient(std::unique_ptr<Loop> loop) : loop_(std::move(loop)) {}

Result<std::unique_ptr<HttpsClient>> HttpsClient::create(const ResolverOptions& dns) {
  ASSIGN_OR_RETURN(auto loop, Loop::create());
  std::unique_ptr<HttpsClient> client(new HttpsClient(std::move(loop)));
  ASSIGN_OR_RETURN(client->resolver_, Resolver::create(*client->loop_, dns));
  client->thread_ = std::thread([raw = client.get()] {
    raw->loop_->run();
    raw->exchanges_.clear();
    raw->waiting_.clear();
    raw->resolver_.reset();
  });
  return client;
}

HttpsClient::~HttpsClient() { stop(); }

void HttpsClient::fetch(HttpsRequest request, Done done) {
  loop_->post([this, request = std::move(request), done = std::move(done)]() mutable {
    if (stopping_) return done(fail(Errc::Cancelled, "this relay is shutting down"));
    if (waiting_.size() >= kMaxWaiting) return done(fail(Errc::Busy, "too many requests wait"));
    waiting_.push_back(std::make_unique<Exchange>(*this, std::move(request), std::move(done)));
    startNext();
  });
}

void HttpsClient::startNext() {
  while (!stopping_ && exchanges_.size() < kMaxAtOnce && !waiting_.empty()) {
    exchanges_.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
    exchanges_.back()->start();
  }
}

// Whether it had its turn or not: it is dropped when nobody calls it any more.
void HttpsClient::onEnd(Exchange& exchange) {
  loop_->defer([this, which = &exchange] {
    const auto is_it = [which](const auto& one) { return one.get() == which; };
    std::erase_if(exchanges_, is_it);
    std::erase_if(waiting_, is_it);
    startNext();
  });
}

void HttpsClient::stop() {
  if (!thread_.joinable()) return;
  loop_->post([this] {
    stopping_ = true;
    std::vector<Exchange*> all;
    for (const auto& one : exchanges_) all.push_back(one.get());
    for (const auto& one : waiting_) all.push_back(one.get());
    for (Exchange* one : all) one->finish(fail(Errc::Cancelled, "this relay is shutting down"));
  });
  loop_->stop();
  thread_.join();
}

}  // namespace sluice::net
