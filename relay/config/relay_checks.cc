// Checks of the relay's own sections.
#include <sys/stat.h>

#include "relay/config/checks.h"
#include "relay/config/units.h"

namespace sluice::relay {
namespace {

void checkDataDir(const Config& config, const SectionCheck& top) {
  struct stat status {};
  if (stat(config.data_dir.c_str(), &status) == 0 && !S_ISDIR(status.st_mode)) {
    top.mistake("data_dir", "\"" + config.data_dir + "\" is no directory");
  }
}

void checkQueue(const QueueConfig& queue, const SectionCheck& section) {
  // A short lifetime alone is no mistake: there is just no time for the default notice.
  if (section.has("delay_notice") && queue.delay_notice >= queue.lifetime) {
    section.mistake("delay_notice", "comes only after the end of the lifetime (" +
                                        formatDuration(queue.lifetime) + "); \"0\" asks for none");
  }
}

void checkAdmin(const Config& config, const SectionCheck& admin) {
  if (!config.admin.token.empty() && !config.admin.token_file.empty()) {
    admin.mistake("token", "conflicts with token_file: set one of them");
  }
  if (config.admin.token.empty() && config.admin.token_file.empty() &&
      !config.admin.listen.address.isLoopback()) {
    admin.mistake("listen", config.admin.listen.toString() +
                                " is no loopback address: a token_file is required");
  }
}

void checkTlsReport(const TlsReportConfig& report, const SectionCheck& section) {
  if (!report.from.empty()) return;
  if (!report.organization.empty()) section.mistake("organization", "is of no use without from");
  if (!report.contact.empty()) section.mistake("contact", "is of no use without from");
}

}  // namespace

void checkRelay(const Config& config, const ConfigPlaces& places, Mistakes& mistakes) {
  checkDataDir(config, {places.top, mistakes, ""});
  checkQueue(config.queue, {places.queue, mistakes, "[queue]"});
  checkTlsReport(config.tls_report, {places.tls_report, mistakes, "[tls_report]"});
  checkAdmin(config, {places.admin, mistakes, "[admin]"});
  if (!config.process.group.empty() && config.process.user.empty()) {
    SectionCheck{places.process, mistakes, "[process]"}.mistake("group", "needs a user");
  }
}

}  // namespace sluice::relay
