// Content off the wire: where it ends, what its line ends are, and what is to be known of it.
//
// What comes out is clean: lines end in CRLF, there is no bare CR, LF or NUL, and dots are
// unstuffed. End of data is CRLF.CRLF and nothing else (RFC 5321 section 4.1.1.4). Bare line ends
// are made clean or refused, NUL is always refused, but only where the content ends, so that the
// session stays in step. One pass over any segmentation, no I/O. One a mail transaction.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace sluice::smtp {

struct ContentFindings {
  uint64_t bytes = 0;          // clean ones
  uint64_t bare_newlines = 0;  // CRs and LFs that stood alone
  unsigned received = 0;       // Received fields in the header section (RFC 5321 section 6.3)
  bool has_date = false;
  bool has_message_id = false;
  bool tls_optional = false;      // "TLS-Required: No" (RFC 8689 section 3)
  bool starts_with_body = false;  // the first line is neither empty nor a header field
  bool eight_bit = false;
  bool eight_bit_header = false;  // in the header section
  bool nul = false;
  bool too_large = false;
  bool ends_in_line = false;  // all of it is header, and its last line has no CRLF
};

// Gets the clean bytes. Pieces are valid during the call only.
class ContentSink {
 public:
  virtual ~ContentSink() = default;
  virtual void onContent(std::string_view clean) = 0;
  // Once, where fields can be added: in front of the empty line that ends the header section, or
  // of the first byte if the content is body from its first line, or at the end if it is all
  // header.
  virtual void onHeaderEnd(const ContentFindings& so_far) = 0;
  // The value of the first Message-ID field, before onHeaderEnd(); a very long one may be cut off.
  virtual void onMessageId(std::string_view /*value*/) {}
};

enum class ContentForm { Dotted, Chunked };  // DATA, BDAT

class ContentReader {
 public:
  // More clean bytes than `max_bytes` are counted as too large and not given to `sink`, which
  // outlives the reader.
  ContentReader(ContentForm form, uint64_t max_bytes, ContentSink& sink)
      : sink_(sink), max_bytes_(max_bytes), form_(form) {}

  // Takes content off the front of `input`. Dotted: true once end of data was taken with it; what
  // is behind stays in `input`. Chunked: takes everything; give it the octets of the chunks only.
  bool feed(std::string_view& input);
  // Chunked: the last chunk is over.
  void finishChunks();
  // What follows goes nowhere: the content is refused, or will be.
  void mute() { muted_ = true; }

  const ContentFindings& findings() const { return findings_; }

 private:
  // Where the next byte stands.
  enum class At : uint8_t { LineStart, Text, Cr, Dot, DotCr, End };

  void feedByte(char c);
  void onText(char c);
  void bareCr();
  void emit(std::string_view piece);
  bool decideFirstLine(std::string_view piece);
  void scanHeader(std::string_view piece);
  void noteEightBit(std::string_view header);
  void judgeLine(std::string_view line);
  void noteMessageId(std::string_view line);
  void endHeader();
  void pass(std::string_view piece);
  void end();

  ContentSink& sink_;
  uint64_t max_bytes_;
  ContentFindings findings_;
  ContentForm form_;
  At at_ = At::LineStart;
  bool muted_ = false;
  bool first_line_decided_ = false;
  bool in_header_ = true;
  std::string held_;               // of the first line, while it may become a header field
  bool seeks_message_id_ = false;  // its field began, and its value is on the next line
  std::array<char, 256> line_{};   // the start of a header line that came in pieces
  size_t line_bytes_ = 0;          // how much of the current header line came
};

}  // namespace sluice::smtp
