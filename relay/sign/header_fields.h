// The header fields that a signature covers, in relaxed form, taken while the content streams by.
//
// RFC 6376 section 3.4.2: names in lower case, lines unfolded, runs of white space one space, none
// at either end. Fields that no signature covers are passed over and take no memory; those that one
// does are bounded. Any segmentation, no I/O. One a message.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::relay {

// How a field is covered.
enum class Cover : uint8_t {
  Always,     // and once more than it is there, so that none can be added, even where there is none
  IfPresent,  // once more than it is there, if it is there
  AsIs,       // as often as it is there: what comes later may add some
};
struct CoveredField {
  std::string_view name;  // in lower case
  Cover cover;
};

class HeaderFields {
 public:
  static constexpr size_t kMaxBytes = 256 * 1024;  // of all covered fields of a message
  static constexpr size_t kMaxFields = 100;

  // All that are covered, in the order in which a signature names them.
  static const std::vector<CoveredField>& covered();

  // Takes the header section off the front of `content`: true once the empty line behind it was
  // taken.
  bool feed(std::string_view& content);
  // Behind the header section, or where the content ended within it.
  void finish();

  struct Field {
    uint8_t covered = 0;  // index into covered()
    size_t begin = 0;     // in the text
    size_t bytes = 0;
  };
  // In the order of the message.
  const std::vector<Field>& fields() const { return fields_; }
  // "name:value\r\n", relaxed.
  std::string_view text(const Field& field) const {
    return std::string_view(text_).substr(field.begin, field.bytes);
  }
  // "value" of the field From if there is just one; else empty. RFC 5322 section 3.6 wants one, and
  // of several, everybody believes another.
  std::string_view from() const;
  // More than kMaxBytes or kMaxFields: nothing can be signed.
  bool overflowed() const { return overflowed_; }

 private:
  enum class At : uint8_t { LineStart, EmptyLine, Name, BehindName, Value, Skip };

  void beginLine(char c);
  void onName(char c);
  void beginValue();
  void takeValue(std::string_view& content);
  void append(std::string_view bytes);
  void endField();

  std::string text_;
  std::vector<Field> fields_;
  std::array<char, 32> name_{};  // longer ones are not covered
  size_t name_bytes_ = 0;
  At at_ = At::LineStart;
  bool kept_ = false;  // the present field is covered
  bool space_owed_ = false;
  bool cr_owed_ = false;
  bool overflowed_ = false;
};

}  // namespace sluice::relay
