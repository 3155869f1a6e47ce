// Hands messages to a relay by SMTP, as any client does, one connection for all of them.
//
// By net/smtp's client protocol on a loop that nothing else runs on meanwhile; without TLS, for it
// is this machine's relay that is spoken to.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "net/base/ip_address.h"
#include "net/base/result.h"
#include "net/smtp/reply.h"

namespace sluice::relay {

struct SubmittedRecipient {
  std::string path;    // without angle brackets
  std::string notify;  // "SUCCESS,FAILURE", empty: not said
  std::string orcpt;   // xtext, empty: not said
};

struct Submission {
  std::string sender;  // empty: <>
  std::vector<SubmittedRecipient> recipients;
  std::string content;  // lines end in CRLF
  bool eight_bit = false;
  bool smtputf8 = false;
  std::string ret;    // "FULL", "HDRS" or empty
  std::string envid;  // xtext or empty
};

struct SubmissionOutcome {
  bool taken = false;                          // 250 to the content
  std::optional<smtp::Reply> reply;            // to the content, or the refusal of MAIL or DATA
  std::vector<smtp::Reply> recipient_replies;  // in their order, as far as they came
  std::optional<Error> failure;                // no answer: it may have been taken or not

  bool allTaken() const;
  // In words: "250 2.0.0 Queued as …", or why not.
  std::string toString(const Submission& submission) const;
};

struct SubmissionTarget {
  Endpoint relay;
  std::string helo = "localhost";
  std::chrono::milliseconds patience{60'000};  // for the connection and each reply
};

// Asks `next` for messages until it gives none, and tells what became of each, in their order.
// Errors: no connection or no greeting (nothing was sent), and what broke off the connection; then
// the messages that `next` has given were told of.
Result<void> submitAll(
    const SubmissionTarget& target, const std::function<std::optional<Submission>()>& next,
    const std::function<void(const Submission&, const SubmissionOutcome&)>& tell);

}  // namespace sluice::relay
