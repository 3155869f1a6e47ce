// Which addresses does /etc/hosts give a name?
#include "net/dns/hosts_file.h"

#include <algorithm>
#include <fstream>

namespace sluice::net {
namespace {

// Takes the next word off the front; empty at the end of the line or at a comment.
std::string_view takeWord(std::string_view& line) {
  constexpr std::string_view kBlanks = " \t\r\v\f";
  const size_t begin = std::min(line.find_first_not_of(kBlanks), line.size());
  const size_t end = std::min(line.find_first_of(kBlanks, begin), line.size());
  const std::string_view word = line.substr(begin, end - begin);
  line.remove_prefix(end);
  return word;
}

std::string lowerCase(std::string_view word) {
  std::string lower(word);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

}  // namespace

HostsFile::HostsFile(std::string_view content) {
  while (!content.empty()) {
    const size_t end = std::min(content.find('\n'), content.size());
    std::string_view line = content.substr(0, end);
    addLine(line.substr(0, line.find('#')));
    content.remove_prefix(std::min(end + 1, content.size()));
  }
  if (!addresses_.contains("localhost")) {
    addLine("::1 localhost");
    addLine("127.0.0.1 localhost");
  }
}

HostsFile HostsFile::read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string content(kMaxBytes, '\0');
  file.read(content.data(), static_cast<std::streamsize>(content.size()));
  content.resize(static_cast<size_t>(std::max<std::streamsize>(file.gcount(), 0)));
  return HostsFile(content);
}

const std::vector<IpAddress>* HostsFile::find(const std::string& name) const {
  const auto found = addresses_.find(name);
  return found == addresses_.end() ? nullptr : &found->second;
}

void HostsFile::addLine(std::string_view line) {
  const auto address = IpAddress::parse(takeWord(line));
  if (!address) return;  // an empty line, a zone ("fe80::1%eth0"), or nonsense
  for (std::string_view word = takeWord(line); !word.empty(); word = takeWord(line)) {
    std::vector<IpAddress>& known = addresses_[lowerCase(word)];
    if (std::find(known.begin(), known.end(), *address) == known.end()) known.push_back(*address);
  }
}

}  // namespace sluice::net
