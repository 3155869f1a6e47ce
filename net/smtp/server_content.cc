// How a server's session takes content: DATA to its end, BDAT chunk by chunk, and what either makes
// of the transaction.
#include <algorithm>

#include "net/smtp/server_protocol.h"

namespace sluice::smtp {
namespace {

// A refused chunk up to this size is stepped over; the octets of a larger one cannot be waited for.
constexpr uint64_t kMaxSteppedOverBytes = 1ull << 30;

constexpr ServerReply kTooLarge{552, {5, 3, 4}, "Message too large"};

}  // namespace

void ServerProtocol::beginContent(ContentForm form) {
  const uint64_t limit = settings_.max_message_bytes;
  reader_.emplace(form, limit > 0 ? limit : UINT64_MAX, events_);
  content_dropped_ = false;
  events_.onContentBegin();
}

void ServerProtocol::takeContent(std::string_view& input) {
  const bool whole = reader_->feed(input);
  checkContent();
  if (!whole) return;
  mode_ = Mode::Command;
  onContentWhole();
}

// RFC 3030 section 2: the octets of a refused chunk are taken before it is answered.
void ServerProtocol::doBdat(std::string_view argument) {
  const auto bdat = parseBdat(argument);
  if (!bdat) {  // how many octets follow is anybody's guess
    chunks_failed_ |= has_mail_;
    const Rejection& rejection = bdat.error();
    return refuseData({rejection.code, rejection.status, rejection.text});
  }
  chunk_left_ = bdat->bytes;
  chunk_last_ = bdat->last;
  chunk_refusal_ = refusesChunk(bdat->bytes);
  if (chunk_refusal_ && bdat->bytes > kMaxSteppedOverBytes) return close(*chunk_refusal_);
  if (chunk_refusal_) {
    if (reader_ && !content_dropped_) {
      content_dropped_ = true;
      events_.onContentDropped();
    }
  } else if (!reader_) {
    beginContent(ContentForm::Chunked);
  }
  mode_ = Mode::Chunk;
  if (chunk_left_ == 0) onChunkEnd();
}

std::optional<ServerReply> ServerProtocol::refusesChunk(uint64_t bytes) const {
  if (!has_mail_) return ServerReply{503, {5, 5, 1}, "Send MAIL first"};
  if (chunks_failed_) return ServerReply{503, {5, 5, 1}, "An earlier chunk was refused"};
  if (recipients_ == 0) return missingRecipients();
  const uint64_t so_far = reader_ ? reader_->findings().bytes : 0;
  const uint64_t limit = settings_.max_message_bytes;
  if (limit > 0 && (bytes > limit || so_far > limit - bytes)) return kTooLarge;
  return std::nullopt;
}

void ServerProtocol::takeChunk(std::string_view& input) {
  std::string_view part = input.substr(0, std::min<uint64_t>(input.size(), chunk_left_));
  input.remove_prefix(part.size());
  chunk_left_ -= part.size();
  if (!chunk_refusal_) {
    reader_->feed(part);
    checkContent();
  }
  if (chunk_left_ == 0) onChunkEnd();
}

void ServerProtocol::onChunkEnd() {
  mode_ = Mode::Command;
  if (!chunk_refusal_ && chunk_last_) {
    reader_->finishChunks();
    checkContent();
    return onContentWhole();
  }
  if (!chunk_refusal_) chunk_refusal_ = refusesContent();
  if (!chunk_refusal_) return write({250, {2, 0, 0}, "OK"});
  const ServerReply refusal = *chunk_refusal_;
  const bool first_refusal = has_mail_ && !chunks_failed_;
  if (first_refusal) events_.onRefused(Verb::Bdat, {}, refusal);
  chunks_failed_ = has_mail_;
  if (chunk_last_) endTransaction();
  refuse(refusal);
}

void ServerProtocol::onContentWhole() {
  if (const auto refusal = refusesContent()) {
    events_.onRefused(Verb::Data, {}, *refusal);
    endTransaction();
    return refuse(*refusal);
  }
  const ContentFindings findings = reader_->findings();
  has_mail_ = false;  // the owner knows, so that it is not told
  endTransaction();
  owed_.push_back({++last_ticket_, false, {}, {}});
  events_.onContentEnd(last_ticket_, findings);
}

void ServerProtocol::replyToContent(uint64_t ticket, const ServerReply& reply) {
  const auto at = std::find_if(owed_.begin(), owed_.end(),
                               [ticket](const Owed& owed) { return owed.ticket == ticket; });
  if (at == owed_.end()) return;
  at->answered = true;
  append(at->reply, reply);
  if (reply.code < 400) errors_ = 0;
  while (!owed_.empty() && owed_.front().answered) {
    output_.append(owed_.front().reply).append(owed_.front().after);
    owed_.pop_front();
  }
  if (owed_.empty()) waits_for_owed_ = false;
  resume();
}

// As soon as content is known to be refused, what came of it is let go.
void ServerProtocol::checkContent() {
  if (content_dropped_ || !refusesContent()) return;
  content_dropped_ = true;
  reader_->mute();
  events_.onContentDropped();
}

std::optional<ServerReply> ServerProtocol::refusesContent() const {
  const ContentFindings& findings = reader_->findings();
  if (findings.nul) return ServerReply{554, {5, 6, 0}, "Content holds NUL"};
  if (settings_.reject_bare_newlines && findings.bare_newlines > 0) {
    return ServerReply{554, {5, 6, 0}, "Content holds CR or LF that is not CRLF"};
  }
  if (findings.too_large) return kTooLarge;
  if (findings.received > settings_.max_received) {
    return ServerReply{554, {5, 4, 6}, "Too many Received fields, mail loops"};
  }
  return std::nullopt;
}

void ServerProtocol::endTransaction() {
  const bool had_mail = has_mail_;
  has_mail_ = false;
  smtputf8_ = false;
  recipients_ = 0;
  surplus_recipients_ = 0;
  recipients_refused_ = false;
  chunks_failed_ = false;
  content_dropped_ = false;
  chunk_refusal_.reset();
  reader_.reset();
  if (had_mail) events_.onTransactionEnd();
}

}  // namespace sluice::smtp
