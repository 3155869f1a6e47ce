#include "net/tls/tls_stream.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <new>
#include <optional>
#include <utility>

#include "net/tcp_stream.h"
#include "net/tls/tls_setup.h"

namespace sluice::net {
namespace {

constexpr size_t kRecordBytes = 16 * 1024;      // the most that one record holds
constexpr size_t kSealInPlaceBytes = 4 * 1024;  // smaller pieces are copied together first
constexpr size_t kPlaintextBytes = 64 * 1024;   // given to the handler at once

char* plaintextBuffer() {
  static thread_local const std::unique_ptr<char[]> buffer(new char[kPlaintextBytes]);
  return buffer.get();
}

char* recordBuffer() {
  static thread_local const std::unique_ptr<char[]> buffer(new char[kRecordBytes]);
  return buffer.get();
}

std::string handshakeError(const SSL& connection) {
  std::string said = takeTlsError(&connection, "it failed");
  const PeerFault by_dane = TlsClientContext::daneFaultOf(connection);
  if (by_dane == PeerFault::None) return said;
  return "the certificate is not to be trusted: " + std::string(toString(by_dane));
}

}  // namespace

// A BIO between BoringSSL and the stream below: reads from `input_`, writes at once.
struct TlsStream::Records {
  static TlsStream& of(BIO* bio) { return *static_cast<TlsStream*>(BIO_get_data(bio)); }

  static int read(BIO* bio, char* out, int size) {
    std::string_view& input = of(bio).input_;
    BIO_clear_retry_flags(bio);
    if (input.empty()) {
      BIO_set_retry_read(bio);
      return -1;
    }
    const size_t count = std::min(input.size(), static_cast<size_t>(size));
    std::memcpy(out, input.data(), count);
    input.remove_prefix(count);
    return static_cast<int>(count);
  }

  static int write(BIO* bio, const char* bytes, int size) {
    of(bio).below_->write(std::string_view(bytes, static_cast<size_t>(size)));
    return size;
  }

  static long control(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }

  static const BIO_METHOD* method() {
    static const BIO_METHOD* const made = [] {
      BIO_METHOD* method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "stream");
      BIO_meth_set_read(method, read);
      BIO_meth_set_write(method, write);
      BIO_meth_set_ctrl(method, control);
      return method;
    }();
    return made;
  }
};

std::unique_ptr<TlsStream> TlsStream::server(Loop& loop, std::unique_ptr<Stream> below,
                                             std::shared_ptr<const TlsServerContext> context,
                                             Task on_ready) {
  SslHandle connection = context->newConnection();
  return std::unique_ptr<TlsStream>(new TlsStream(loop, std::move(below), std::move(connection),
                                                  std::move(context), std::move(on_ready)));
}

Result<std::unique_ptr<TlsStream>> TlsStream::client(Loop& loop, std::unique_ptr<Stream> below,
                                                     std::shared_ptr<TlsClientContext> context,
                                                     const TlsPeer& peer, Task on_ready) {
  ASSIGN_OR_RETURN(SslHandle connection, context->newConnection(peer));
  std::unique_ptr<TlsStream> stream(new TlsStream(loop, std::move(below), std::move(connection),
                                                  std::move(context), std::move(on_ready)));
  ERR_clear_error();
  SSL_do_handshake(stream->connection_.get());  // says hello
  stream->below_->flush();
  return stream;
}

TlsStream::TlsStream(Loop& loop, std::unique_ptr<Stream> below, SslHandle connection,
                     std::shared_ptr<const void> context, Task on_ready)
    : loop_(loop),
      context_(std::move(context)),
      below_(std::move(below)),
      connection_(std::move(connection)),
      on_ready_(std::move(on_ready)) {
  BIO* records = BIO_new(Records::method());
  if (records == nullptr) throw std::bad_alloc();
  BIO_set_data(records, this);
  BIO_set_init(records, 1);
  SSL_set_bio(connection_.get(), records, records);
  SSL_set_mode(connection_.get(),
               SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_set_shed_handshake_config(connection_.get(), 1);
  below_->setHandler(this);
}

TlsStream::~TlsStream() = default;

// --- In ------------------------------------------------------------------------------------------

void TlsStream::onRead(std::string_view bytes) {
  if (!carry_.empty()) {
    carry_.append(bytes);
    return takeCarried();
  }
  input_ = bytes;
  take();
  carry_.assign(std::exchange(input_, {}));
}

void TlsStream::takeCarried() {
  input_ = carry_;
  take();
  const size_t left = std::exchange(input_, {}).size();
  if (left == 0) {
    std::string().swap(carry_);
  } else {
    carry_.erase(0, carry_.size() - left);
  }
}

// Takes records off `input_` as long as the handler wants to hear.
void TlsStream::take() {
  if (over_) {
    input_ = {};
    return;
  }
  if (!ready_) shakeHands();
  while (ready_ && !over_ && !paused_ && takeSome()) {
  }
  if (over_) input_ = {};
}

void TlsStream::shakeHands() {
  SSL* connection = connection_.get();
  ERR_clear_error();
  const int result = SSL_do_handshake(connection);
  if (result == 1) {
    ready_ = true;
    learnWhatWasAgreed();
    Task on_ready = std::move(on_ready_);
    if (on_ready) on_ready();
    if (!over_) flush();
    return;
  }
  if (SSL_get_error(connection, result) == SSL_ERROR_WANT_READ) return below_->flush();
  endWith({Errc::TlsFailed, "TLS handshake: " + handshakeError(*connection)});
}

void TlsStream::learnWhatWasAgreed() {
  SSL* connection = connection_.get();
  version_ = SSL_get_version(connection);
  if (const SSL_CIPHER* cipher = SSL_get_current_cipher(connection)) {
    cipher_ = SSL_CIPHER_standard_name(cipher);
  }
  resumed_ = SSL_session_reused(connection) == 1;
  if (SSL_is_server(connection) == 1) {
    trusted_client_ = TlsServerContext::hasTrustedClient(*connection);
  } else if (resumed_) {
    TlsClientContext::keepResumed(*connection);
  }
}

std::optional<std::string> TlsStream::exporter() const {
  constexpr std::string_view kLabel = "EXPORTER-Channel-Binding";
  constexpr size_t kBytes = 32;
  if (!ready_ || SSL_version(connection_.get()) != TLS1_3_VERSION) return std::nullopt;
  std::string bytes(kBytes, '\0');
  if (SSL_export_keying_material(connection_.get(), reinterpret_cast<uint8_t*>(bytes.data()),
                                 bytes.size(), kLabel.data(), kLabel.size(), nullptr, 0, 1) != 1) {
    return std::nullopt;
  }
  return bytes;
}

// Gives the handler what records there are, up to a buffer's fill. False when there are no more.
bool TlsStream::takeSome() {
  SSL* connection = connection_.get();
  char* const buffer = plaintextBuffer();
  size_t filled = 0;
  std::optional<Error> end;
  bool finished = false;
  bool more = true;
  while (more && filled < kPlaintextBytes) {
    ERR_clear_error();
    const int count =
        SSL_read(connection, buffer + filled, static_cast<int>(kPlaintextBytes - filled));
    if (count > 0) {
      filled += static_cast<size_t>(count);
      continue;
    }
    more = false;
    switch (SSL_get_error(connection, count)) {
      case SSL_ERROR_WANT_READ:
        break;
      case SSL_ERROR_ZERO_RETURN:
        finished = true;
        break;
      default:
        end = Error{Errc::Reset, "TLS: " + takeTlsError(connection, "it broke")};
    }
  }
  if (filled > 0 && handler_ != nullptr) handler_->onRead({buffer, filled});
  if (finished && !over_ && !keepsWriting()) end = Error{Errc::Closed, "closed by the far end"};
  if (!over_ && end) endWith(*end);
  return more;
}

// The far end will send no more: asks the handler, once, whether it still has something to say.
bool TlsStream::keepsWriting() {
  if (std::exchange(peer_finished_, true)) return true;
  return handler_ != nullptr && handler_->onPeerFinished();
}

// Without close_notify, too: what SMTP has to be whole says itself where it ends.
bool TlsStream::onPeerFinished() { return ready_ && !over_ && keepsWriting(); }

void TlsStream::pauseReading() {
  paused_ = true;
  below_->pauseReading();
}

void TlsStream::resumeReading() {
  paused_ = false;
  if (over_) return;
  below_->resumeReading();
  if (!ready_ || (carry_.empty() && SSL_has_pending(connection_.get()) == 0)) return;
  // Later: who resumes does not expect to hear from within.
  loop_.defer([this, alive = std::weak_ptr<char>(alive_)] {
    if (!alive.expired() && !over_ && !paused_) takeCarried();
  });
}

void TlsStream::onEnd(const Error& why) {
  if (ready_) return endWith(why);
  endWith({why.code, "during the TLS handshake: " + why.detail});
}

// An alert may be on its way out, so the stream below is not cut off.
void TlsStream::endWith(const Error& why) {
  over_ = true;
  out_.clear();
  Stream::Handler* handler = std::exchange(handler_, nullptr);
  below_->flush();
  below_->finish();
  if (handler != nullptr) handler->onEnd(why);
}

// --- Out -----------------------------------------------------------------------------------------

void TlsStream::flush() {
  if (over_) return;
  if (unsentBytes() > TcpStream::kLowWaterBytes) above_low_water_ = true;
  if (ready_) seal(false);
  below_->flush();
}

// Seals what there is, but not far ahead of the stream below.
void TlsStream::seal(bool all) {
  while (!out_.empty()) {
    if (!all && below_->unsentBytes() > TcpStream::kLowWaterBytes) {
      below_->flush();
      if (below_->unsentBytes() > TcpStream::kLowWaterBytes) return;  // onDrained() goes on
    }
    if (sealRecord()) continue;
    out_.clear();
    const std::string why = "TLS: " + takeTlsError(connection_.get(), "it broke");
    // Later: nobody expects an end from within flush().
    return loop_.defer([this, why, alive = std::weak_ptr<char>(alive_)] {
      if (!alive.expired() && !over_) endWith({Errc::Reset, why});
    });
  }
}

bool TlsStream::sealRecord() {
  std::string_view plain = out_.slices().front().bytes;
  if (plain.size() < kSealInPlaceBytes && plain.size() < out_.size()) {
    size_t filled = 0;
    for (const Slice& slice : out_.slices()) {
      const size_t count = std::min(slice.bytes.size(), kRecordBytes - filled);
      std::memcpy(recordBuffer() + filled, slice.bytes.data(), count);
      filled += count;
      if (filled == kRecordBytes) break;
    }
    plain = {recordBuffer(), filled};
  }
  plain = plain.substr(0, kRecordBytes);
  ERR_clear_error();
  const int sealed = SSL_write(connection_.get(), plain.data(), static_cast<int>(plain.size()));
  if (sealed <= 0) return false;
  out_.dropFront(static_cast<size_t>(sealed));
  return true;
}

void TlsStream::onDrained() {
  if (over_) return;
  if (ready_) seal(false);
  below_->flush();
  if (!above_low_water_ || unsentBytes() > TcpStream::kLowWaterBytes) return;
  above_low_water_ = false;
  if (handler_ != nullptr) handler_->onDrained();
}

// --- The end -------------------------------------------------------------------------------------

void TlsStream::finish() {
  if (over_) return;
  handler_ = nullptr;
  if (ready_) {
    seal(true);
    ERR_clear_error();
    SSL_shutdown(connection_.get());
  }
  over_ = true;
  out_.clear();
  below_->flush();
  below_->finish();
}

void TlsStream::close() {
  over_ = true;
  handler_ = nullptr;
  out_.clear();
  below_->close();
}

}  // namespace sluice::net
