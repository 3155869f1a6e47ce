// A whole HTTP/1.1 answer out of the bytes of a server (RFC 9112), bounded in all its parts.
//
// No I/O. Strict where servers have been tricked: line ends are CRLF, a length is said once and in
// one way, folded header lines and codings of the content are refused.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/base/result.h"

namespace sluice::net {

using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

struct HttpAnswer {
  int status = 0;       // 200..599
  HttpHeaders headers;  // names in lower case, values without blanks around them
  std::string body;
  // Only the end of the connection says that the body is whole: whoever can cut it, can shorten it.
  bool until_close = false;

  // The first header of this name (in lower case); empty if there is none.
  std::string_view header(std::string_view name) const;
};

class HttpAnswerParser {
 public:
  static constexpr size_t kMaxHeadBytes = 32 * 1024;  // interim answers included; trailers again
  static constexpr size_t kMaxHeaders = 100;
  static constexpr size_t kMaxChunkLineBytes = 1024;

  explicit HttpAnswerParser(size_t max_body_bytes) : max_body_bytes_(max_body_bytes) {}

  // True once the answer is whole; what comes behind it is ignored. Errors: Malformed, TooLarge.
  Result<bool> feed(std::string_view bytes);
  // The connection has ended. Errors: Closed (the answer is not whole).
  Result<void> end();
  // Once it is whole.
  HttpAnswer take() { return std::move(answer_); }

 private:
  enum class State { Head, Body, UntilClose, ChunkLine, Chunk, ChunkEnd, Trailers, Whole };

  Result<void> step(std::string_view& bytes);
  Result<bool> takeLine(std::string_view& bytes, size_t max_bytes);
  Result<void> onHeadLine();
  Result<void> onStatusLine();
  Result<void> onHeaderLine();
  Result<void> onHeadEnd();
  Result<void> onChunkLine();
  Result<void> takeBody(std::string_view& bytes);

  const size_t max_body_bytes_;
  State state_ = State::Head;
  std::string line_;       // so far; once taken without its CRLF
  size_t head_bytes_ = 0;  // of head or trailers
  bool status_seen_ = false;
  uint64_t left_ = 0;  // of the body or the chunk
  HttpAnswer answer_;
};

}  // namespace sluice::net
