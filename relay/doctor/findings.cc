#include "relay/doctor/findings.h"

#include <algorithm>

namespace sluice::relay {

std::string_view toString(Severity severity) {
  switch (severity) {
    case Severity::Ok:
      return "ok";
    case Severity::Note:
      return "note";
    case Severity::Warning:
      return "warning";
    case Severity::Error:
      return "error";
  }
  return "error";
}

void Findings::ok(std::string_view check, std::string subject, std::string text) {
  add({Severity::Ok, std::string(check), std::move(subject), std::move(text), {}});
}

void Findings::note(std::string_view check, std::string subject, std::string text,
                    std::string fix) {
  add({Severity::Note, std::string(check), std::move(subject), std::move(text), std::move(fix)});
}

void Findings::warning(std::string_view check, std::string subject, std::string text,
                       std::string fix) {
  add({Severity::Warning, std::string(check), std::move(subject), std::move(text), std::move(fix)});
}

void Findings::error(std::string_view check, std::string subject, std::string text,
                     std::string fix) {
  add({Severity::Error, std::string(check), std::move(subject), std::move(text), std::move(fix)});
}

size_t Findings::count(Severity severity) const {
  return static_cast<size_t>(
      std::count_if(all_.begin(), all_.end(),
                    [severity](const Finding& one) { return one.severity == severity; }));
}

}  // namespace sluice::relay
