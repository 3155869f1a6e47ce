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
  if (queue.retry_first > queue.retry_max) {
    section.mistake(section.has("retry_first") ? "retry_first" : "retry_max",
                    "retry_first (" + formatDuration(queue.retry_first) + ") is over retry_max (" +
                        formatDuration(queue.retry_max) + ")");
  }
  if (queue.lifetime < queue.retry_first) {
    section.mistake("lifetime", "is shorter than retry_first (" +
                                    formatDuration(queue.retry_first) +
                                    "): nothing would be tried twice");
  }
  if (queue.delay_notice >= queue.lifetime) {
    section.mistake(section.has("delay_notice") ? "delay_notice" : "lifetime",
                    "delay_notice (" + formatDuration(queue.delay_notice) +
                        ") would come after the end of the lifetime (" +
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

}  // namespace

void checkRelay(const Config& config, const ConfigPlaces& places, Mistakes& mistakes) {
  checkDataDir(config, {places.top, mistakes, ""});
  checkQueue(config.queue, {places.queue, mistakes, "[queue]"});
  checkAdmin(config, {places.admin, mistakes, "[admin]"});
}

}  // namespace sluice::relay
