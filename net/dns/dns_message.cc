// What does a DNS message say? Questions to bytes, hostile bytes to records.
#include "net/dns/dns_message.h"

#include <algorithm>

namespace sluice::net {
namespace {

constexpr size_t kHeaderBytes = 12;
constexpr size_t kMaxNameBytes = 255;  // RFC 1035 §2.3.4
constexpr size_t kMaxLabelBytes = 63;
constexpr uint16_t kClassIn = 1;
constexpr uint8_t kPointerMark = 0xc0;  // RFC 1035 §4.1.4

constexpr uint16_t kFlagResponse = 0x8000;
constexpr uint16_t kFlagOpcode = 0x7800;
constexpr uint16_t kFlagTruncated = 0x0200;
constexpr uint16_t kFlagRecursionDesired = 0x0100;
constexpr uint16_t kFlagAuthentic = 0x0020;
constexpr uint16_t kFlagRcode = 0x000f;

void put16(std::string& out, uint16_t number) {
  out += static_cast<char>(number >> 8);
  out += static_cast<char>(number & 0xff);
}

void appendLabelByte(std::string& out, uint8_t byte) {
  if (byte >= 'A' && byte <= 'Z') {
    out += static_cast<char>(byte - 'A' + 'a');
  } else if (byte > ' ' && byte <= '~' && byte != '.' && byte != '\\') {
    out += static_cast<char>(byte);
  } else {
    out += '\\';
    out += static_cast<char>('0' + byte / 100);
    out += static_cast<char>('0' + byte / 10 % 10);
    out += static_cast<char>('0' + byte % 10);
  }
}

// Reads a message from front to back; every read says whether there was enough.
class Reader {
 public:
  explicit Reader(std::string_view message) : message_(message) {}

  bool read16(uint16_t& number) {
    if (left() < 2) return false;
    number = static_cast<uint16_t>(byteAt(at_) << 8 | byteAt(at_ + 1));
    at_ += 2;
    return true;
  }
  bool read32(uint32_t& number) {
    uint16_t high = 0;
    uint16_t low = 0;
    if (!read16(high) || !read16(low)) return false;
    number = uint32_t{high} << 16 | low;
    return true;
  }
  bool readBytes(size_t count, std::string_view& bytes) {
    if (left() < count) return false;
    bytes = message_.substr(at_, count);
    at_ += count;
    return true;
  }
  // A name, following pointers. Each leads further to the front than the one before, so that there
  // are no loops, and the length bounds the labels.
  bool readName(std::string& name) {
    name.clear();
    size_t at = at_;
    size_t behind = 0;      // where the name ends in the message: behind its first pointer
    size_t lowest = at_;    // pointers must lead to below this
    size_t wire_bytes = 1;  // the root label
    while (at < message_.size()) {
      const uint8_t length = byteAt(at);
      if ((length & kPointerMark) == kPointerMark) {
        if (at + 1 >= message_.size()) return false;
        if (behind == 0) behind = at + 2;
        const size_t target =
            static_cast<size_t>(length & ~kPointerMark & 0xff) << 8 | byteAt(at + 1);
        if (target >= lowest) return false;
        lowest = at = target;
        continue;
      }
      if (length > kMaxLabelBytes) return false;
      if (length == 0) {
        at_ = behind != 0 ? behind : at + 1;
        if (name.empty()) name = ".";
        return true;
      }
      wire_bytes += size_t{length} + 1;
      if (wire_bytes > kMaxNameBytes || at + 1 + length > message_.size()) return false;
      if (!name.empty()) name += '.';
      for (size_t i = 1; i <= length; ++i) appendLabelByte(name, byteAt(at + i));
      at += size_t{length} + 1;
    }
    return false;
  }

  size_t position() const { return at_; }
  void moveTo(size_t position) { at_ = position; }

 private:
  size_t left() const { return message_.size() - at_; }
  uint8_t byteAt(size_t at) const { return static_cast<uint8_t>(message_[at]); }

  std::string_view message_;
  size_t at_ = 0;  // never beyond the end
};

struct RecordHead {
  std::string owner;
  uint16_t type = 0;
  uint16_t dns_class = 0;
  uint32_t ttl_s = 0;
  size_t data_begins = 0;
  size_t data_ends = 0;
};

bool readHead(Reader& reader, RecordHead& head) {
  uint16_t data_bytes = 0;
  std::string_view data;
  if (!reader.readName(head.owner) || !reader.read16(head.type) || !reader.read16(head.dns_class) ||
      !reader.read32(head.ttl_s) || !reader.read16(data_bytes)) {
    return false;
  }
  if (head.ttl_s > INT32_MAX) head.ttl_s = 0;  // RFC 2181 §8
  head.data_begins = reader.position();
  if (!reader.readBytes(data_bytes, data)) return false;
  head.data_ends = reader.position();
  return true;
}

// The strings of a TXT record (RFC 1035 §3.3.14), joined as SPF and DKIM want it.
bool joinStrings(std::string_view data, std::string& text) {
  while (!data.empty()) {
    const size_t length = static_cast<uint8_t>(data.front());
    if (length + 1 > data.size()) return false;
    text += data.substr(1, length);
    data.remove_prefix(length + 1);
  }
  if (text.size() > kMaxTxtBytes) text.resize(kMaxTxtBytes);
  return true;
}

template <size_t N>
std::array<uint8_t, N> toArray(std::string_view bytes) {
  std::array<uint8_t, N> array;
  std::copy(bytes.begin(), bytes.end(), array.begin());
  return array;
}

// Reads the data of a record of a type that we keep; it must fill its length exactly.
bool readData(Reader reader, const RecordHead& head, DnsRecord& record) {
  const size_t bytes = head.data_ends - head.data_begins;
  std::string_view data;
  reader.moveTo(head.data_begins);
  switch (record.type) {
    case DnsType::A:
      if (bytes != 4 || !reader.readBytes(bytes, data)) return false;
      record.address = IpAddress::v4(toArray<4>(data));
      return true;
    case DnsType::Aaaa:
      if (bytes != 16 || !reader.readBytes(bytes, data)) return false;
      record.address = IpAddress::v6(toArray<16>(data));
      return true;
    case DnsType::Mx:
      return bytes >= 3 && reader.read16(record.preference) && reader.readName(record.data) &&
             reader.position() == head.data_ends;
    case DnsType::Cname:
    case DnsType::Ptr:
      return reader.readName(record.data) && reader.position() == head.data_ends;
    case DnsType::Txt:
      return bytes >= 1 && reader.readBytes(bytes, data) && joinStrings(data, record.data);
    case DnsType::Tlsa:
      if (bytes < 4 || !reader.readBytes(bytes, data)) return false;
      record.data = data;
      return true;
    case DnsType::Soa:
      break;
  }
  return false;
}

bool readAnswers(Reader& reader, size_t count, DnsType asked, std::vector<DnsRecord>& answers) {
  for (size_t i = 0; i < count; ++i) {
    RecordHead head;
    if (!readHead(reader, head)) return false;
    const auto type = static_cast<DnsType>(head.type);
    if (head.dns_class != kClassIn || (type != asked && type != DnsType::Cname)) continue;
    DnsRecord record{.owner = std::move(head.owner), .type = type, .ttl_s = head.ttl_s};
    if (!readData(reader, head, record)) return false;
    if (answers.size() < kMaxRecords) answers.push_back(std::move(record));
  }
  return true;
}

// RFC 2308 §5: the lesser of the SOA's TTL and its last field, "minimum".
bool readAuthority(Reader& reader, size_t count, std::optional<uint32_t>& negative_ttl_s) {
  for (size_t i = 0; i < count; ++i) {
    RecordHead head;
    if (!readHead(reader, head)) return false;
    if (head.dns_class != kClassIn || head.type != static_cast<uint16_t>(DnsType::Soa)) continue;
    Reader data = reader;
    data.moveTo(head.data_begins);
    std::string name;
    uint32_t number = 0;
    if (!data.readName(name) || !data.readName(name)) return false;
    for (int field = 0; field < 5; ++field) {
      if (!data.read32(number)) return false;
    }
    if (data.position() != head.data_ends) return false;
    negative_ttl_s = std::min(head.ttl_s, number);
  }
  return true;
}

}  // namespace

std::string_view toString(DnsType type) {
  switch (type) {
    case DnsType::A:
      return "A";
    case DnsType::Cname:
      return "CNAME";
    case DnsType::Soa:
      return "SOA";
    case DnsType::Ptr:
      return "PTR";
    case DnsType::Mx:
      return "MX";
    case DnsType::Txt:
      return "TXT";
    case DnsType::Aaaa:
      return "AAAA";
    case DnsType::Tlsa:
      return "TLSA";
  }
  return "?";
}

std::string toString(DnsRcode rcode) {
  switch (rcode) {
    case DnsRcode::NoError:
      return "NOERROR";
    case DnsRcode::FormErr:
      return "FORMERR";
    case DnsRcode::ServFail:
      return "SERVFAIL";
    case DnsRcode::NxDomain:
      return "NXDOMAIN";
    case DnsRcode::NotImp:
      return "NOTIMP";
    case DnsRcode::Refused:
      return "REFUSED";
  }
  return "rcode " + std::to_string(static_cast<int>(rcode));
}

Result<std::string> encodeQuery(std::string_view name, DnsType type, uint16_t id, bool want_ad) {
  if (name.find('\\') != std::string_view::npos) {
    return fail(Errc::InvalidArgument, "a name with odd bytes");  // \DDD of a hostile answer
  }
  std::string query;
  query.reserve(kHeaderBytes + name.size() + 6);
  put16(query, id);
  put16(query, static_cast<uint16_t>(kFlagRecursionDesired | (want_ad ? kFlagAuthentic : 0)));
  for (const uint16_t count : {1, 0, 0, 0}) put16(query, count);
  size_t begin = 0;
  while (begin <= name.size()) {
    const size_t end = std::min(name.find('.', begin), name.size());
    const size_t length = end - begin;
    if (length == 0 || length > kMaxLabelBytes)
      return fail(Errc::InvalidArgument, "not a DNS name");
    query += static_cast<char>(length);
    query += name.substr(begin, length);
    begin = end + 1;
  }
  query += '\0';
  if (query.size() - kHeaderBytes > kMaxNameBytes)
    return fail(Errc::InvalidArgument, "not a DNS name");
  put16(query, static_cast<uint16_t>(type));
  put16(query, kClassIn);
  return query;
}

Result<DnsMessage> decodeAnswer(std::string_view message, DnsType asked) {
  Reader reader(message);
  uint16_t id = 0;
  uint16_t flags = 0;
  uint16_t questions = 0;
  uint16_t answers = 0;
  uint16_t authorities = 0;
  uint16_t additional = 0;
  const bool whole_header = reader.read16(id) && reader.read16(flags) && reader.read16(questions) &&
                            reader.read16(answers) && reader.read16(authorities) &&
                            reader.read16(additional);
  if (!whole_header || (flags & kFlagResponse) == 0 || (flags & kFlagOpcode) != 0) {
    return fail(Errc::Malformed, "not a DNS answer");
  }
  DnsMessage decoded;
  decoded.rcode = static_cast<DnsRcode>(flags & kFlagRcode);
  decoded.authentic = (flags & kFlagAuthentic) != 0;
  if (decoded.rcode != DnsRcode::NoError && decoded.rcode != DnsRcode::NxDomain) return decoded;
  if ((flags & kFlagTruncated) != 0) return fail(Errc::Malformed, "truncated even over TCP");

  std::string name;
  uint16_t type = 0;
  uint16_t dns_class = 0;
  if (questions != 1 || !reader.readName(name) || !reader.read16(type) ||
      !reader.read16(dns_class) || type != static_cast<uint16_t>(asked) || dns_class != kClassIn ||
      !readAnswers(reader, answers, asked, decoded.answers) ||
      !readAuthority(reader, authorities, decoded.negative_ttl_s)) {
    return fail(Errc::Malformed, "DNS answer with broken records");
  }
  return decoded;
}

AliasChain followAliases(const DnsMessage& message, std::string_view name, DnsType type,
                         int max_aliases) {
  AliasChain chain;
  chain.end = name;
  while (true) {
    const auto alias =
        std::find_if(message.answers.begin(), message.answers.end(), [&](const auto& record) {
          return record.type == DnsType::Cname && record.owner == chain.end;
        });
    if (alias == message.answers.end()) break;
    if (++chain.aliases > max_aliases) {
      chain.too_long = true;
      return chain;
    }
    chain.ttl_s = std::min(chain.ttl_s, alias->ttl_s);
    chain.end = alias->data;
  }
  for (const DnsRecord& record : message.answers) {
    if (record.type != type || record.owner != chain.end) continue;
    chain.ttl_s = std::min(chain.ttl_s, record.ttl_s);
    chain.records.push_back(&record);
  }
  return chain;
}

bool isHostName(std::string_view name) {
  if (name.empty() || name.size() > kMaxNameBytes - 2) return false;
  size_t label_begins = 0;
  bool numeric = true;  // the label so far
  for (size_t i = 0; i <= name.size(); ++i) {
    if (i == name.size() || name[i] == '.') {
      const size_t length = i - label_begins;
      if (length == 0 || length > kMaxLabelBytes || name[label_begins] == '-' ||
          name[i - 1] == '-') {
        return false;
      }
      if (i == name.size()) return !numeric;
      label_begins = i + 1;
      numeric = true;
    } else {
      const bool digit = name[i] >= '0' && name[i] <= '9';
      if (!digit) numeric = false;
      if (!digit && !(name[i] >= 'a' && name[i] <= 'z') && name[i] != '-' && name[i] != '_')
        return false;
    }
  }
  return false;
}

}  // namespace sluice::net
