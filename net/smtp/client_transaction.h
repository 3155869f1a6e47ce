// One mail transaction as a client: what is asked for, and what the server said to each part.
//
// A record that ClientProtocol fills; relay/deliver/outcome reads verdicts from it. RFC 5321
// section 3.3; parameters: RFC 1870, 6152, 6531, 3461.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/base/bytes.h"
#include "net/base/result.h"
#include "net/base/unique_function.h"
#include "net/smtp/reply.h"
#include "net/smtp/server_offer.h"

namespace sluice::smtp {

// The content to send, in chunks, clean and unstuffed. Outlives the transaction.
class ContentSource {
 public:
  using Done = UniqueFunction<void(Result<std::vector<Slice>>)>;
  virtual ~ContentSource() = default;
  virtual uint64_t size() const = 0;
  virtual size_t chunks() const = 0;
  // The whole content if it is one chunk in memory, else null.
  virtual const std::vector<Slice>* inMemory() const = 0;
  // Chunk `index`, now or later on the loop.
  virtual void chunk(size_t index, Done done) = 0;
};

struct ClientRecipient {
  std::string_view forward_path;  // views outlive the transaction
  std::string_view notify;        // "SUCCESS,FAILURE", empty: not said
  std::string_view orcpt;         // xtext, empty: not said
  std::optional<Reply> reply;     // to RCPT
};

struct ClientTransaction {
  virtual ~ClientTransaction() = default;

  // The request.
  std::string_view reverse_path;  // empty: <>
  bool eight_bit = false;
  bool smtputf8 = false;
  bool require_tls = false;  // RFC 8689; said to a server that offers it
  std::string_view ret;      // "FULL", "HDRS" or empty
  std::string_view envid;    // xtext or empty
  std::vector<ClientRecipient> recipients;
  ContentSource* content = nullptr;

  // What came of it.
  std::optional<Reply> mail_reply;
  std::optional<Reply> data_reply;   // to DATA; 354 let us go on
  std::optional<Reply> final_reply;  // to the final dot, or to BDAT LAST
  bool content_ended = false;        // the final dot or the last chunk was given to the connection
  bool sent_without_dsn = false;     // the server does not pass on DSN parameters: RFC 3461 s. 5.2
  // A part of it went behind other commands, to a server that had not shown yet that it takes that.
  bool sent_on_trust = false;

  // ClientProtocol's own.
  enum class Sending : uint8_t {
    Mail,
    Rcpt,
    Data,
    AwaitGo,
    Content,
    Ended
  } sending = Sending::Mail;
  size_t next_recipient = 0;
  size_t next_chunk = 0;
  size_t owed = 0;
  bool by_bdat = false;
  bool chunk_wanted = false;
  bool began_behind = false;  // another transaction was under way

  bool anyRecipientTaken() const;
  bool allRecipientsAnswered() const;
};

}  // namespace sluice::smtp
