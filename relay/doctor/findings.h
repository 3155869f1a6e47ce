// What an examination found: how bad each thing is, in one sentence, and what mends it.
//
// Plain values. Texts may quote what came from outside: escape them where they are shown.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace sluice::relay {

enum class Severity : uint8_t {
  Ok,       // looked at, and as it should be
  Note,     // worth knowing; nothing is wrong
  Warning,  // mail flows, but worse than it could, or not for long
  Error,    // mail does not flow, or is refused or put aside because of it
};

std::string_view toString(Severity severity);

struct Finding {
  Severity severity = Severity::Ok;
  std::string check;    // what was examined: "dns", "port-25", "spf", …
  std::string subject;  // of what: a name server, an address, a domain, a host
  std::string text;     // a sentence
  std::string fix;      // what to do about it; empty where there is nothing to do
};

class Findings {
 public:
  void ok(std::string_view check, std::string subject, std::string text);
  void note(std::string_view check, std::string subject, std::string text, std::string fix = {});
  void warning(std::string_view check, std::string subject, std::string text, std::string fix);
  void error(std::string_view check, std::string subject, std::string text, std::string fix);
  void add(Finding finding) { all_.push_back(std::move(finding)); }

  const std::vector<Finding>& all() const { return all_; }
  size_t count(Severity severity) const;

 private:
  std::vector<Finding> all_;
};

}  // namespace sluice::relay
