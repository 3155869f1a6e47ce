// Which addresses does /etc/hosts give a name?
//
// Only for names that the configuration gives. "localhost" is loopback even without a file
// (RFC 6761 section 6.3).
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "net/base/ip_address.h"

namespace sluice::net {

class HostsFile {
 public:
  static constexpr size_t kMaxBytes = 1 << 20;  // what follows is not read

  HostsFile() : HostsFile(std::string_view{}) {}
  explicit HostsFile(std::string_view content);
  // A file that cannot be read is an empty one.
  static HostsFile read(const std::string& path);

  // In the file's order; nullptr if it says nothing of the name (in lower case).
  const std::vector<IpAddress>* find(const std::string& name) const;

 private:
  void addLine(std::string_view line);
  std::unordered_map<std::string, std::vector<IpAddress>> addresses_;
};

}  // namespace sluice::net
