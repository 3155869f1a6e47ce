// A blocking HTTP client for the relay's own admin address: one request a connection, bounded in
// size and time. One thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "net/base/result.h"

namespace sluice::relay {

struct AdminTarget {
  std::string host = "127.0.0.1";  // a name or an address without brackets
  uint16_t port = 8025;
  std::string token;  // empty: none is sent
};

// "http://relay.example.com:8025", also without the scheme, the port or with a final slash.
// Errors: InvalidArgument.
Result<AdminTarget> parseAdminUrl(std::string_view url);

struct AdminAnswer {
  int status = 0;
  std::string body;
  bool ok() const { return status >= 200 && status < 300; }
};

class AdminClient {
 public:
  static constexpr size_t kMaxAnswerBytes = size_t{1} << 30;  // a message's content, at most
  explicit AdminClient(AdminTarget target,
                       std::chrono::milliseconds patience = std::chrono::seconds(60))
      : target_(std::move(target)), patience_(patience) {}

  // Errors: Refused, Unreachable, NotFound (host name), Timeout (nothing comes for `patience`),
  // Closed, Malformed, TooLarge.
  Result<AdminAnswer> get(const std::string& path);
  Result<AdminAnswer> post(const std::string& path, const std::string& json);
  std::string url() const;

 private:
  Result<AdminAnswer> ask(const std::string& method, const std::string& path,
                          const std::string& json);
  AdminTarget target_;
  std::chrono::milliseconds patience_;
};

// An HTTP/1.1 answer that ended with its connection. Errors: Malformed, Closed (cut off).
Result<AdminAnswer> readAnswer(std::string_view bytes);

}  // namespace sluice::relay
