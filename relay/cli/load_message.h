// The messages that `sluice load` sends: envelope commands and content, made cheaply.
//
// All messages of a run share one body; the header section tells them apart (load_identity.h).
// Pure; the time is given.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "net/base/clock.h"
#include "net/base/result.h"

namespace sluice::relay {

struct LoadMessageOptions {
  std::string run;  // letters, digits and '-'
  std::string sender = "load@load.test";
  std::string domain = "sink.test";  // of the recipients; with `domains` > 1, dN.DOMAIN
  size_t size = 4096;                // of the content, nearly; at least its header section
  size_t recipients = 1;
  size_t domains = 1;
  bool spread = false;  // a message's recipients over the domains, not all in one
};

class LoadMaker {
 public:
  // Errors: InvalidArgument. `now` becomes the Date of all messages.
  static Result<LoadMaker> create(LoadMessageOptions options, WallTime now);

  size_t recipients() const { return options_.recipients; }
  std::string id(uint64_t seq) const;  // RUN.SEQ
  std::string recipient(uint64_t seq, size_t index) const;
  const std::string& mailCommand() const { return mail_command_; }
  void appendRcptCommand(std::string& out, uint64_t seq, size_t index) const;
  void appendHeader(std::string& out, uint64_t seq, uint64_t now_ns) const;
  const std::string& body() const { return body_; }
  // The body as DATA carries it: dots stuffed, with the final dot behind it.
  const std::string& stuffedBody() const { return stuffed_body_; }

 private:
  LoadMaker(LoadMessageOptions options, WallTime now);
  void appendRecipient(std::string& out, uint64_t seq, size_t index) const;
  void makeBody(size_t bytes);

  LoadMessageOptions options_;
  std::string mail_command_;
  std::string date_;
  std::string body_;
  std::string stuffed_body_;
  uint64_t body_hash_ = 0;
};

}  // namespace sluice::relay
