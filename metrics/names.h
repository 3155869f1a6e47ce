// Every metric that the relay exports, once: name, type, labels, help, and when to worry.
//
// docs/metrics.md lists the same names; a test compares them. A module counts with cells of its own
// (metrics/cells.h); the composition ties cells to these definitions in a Registry. A definition
// that nothing feeds does not appear in the exposition.
#pragma once

#include <array>
#include <cstddef>

namespace sluice::metrics {

enum class Type { Counter, Gauge, Histogram };

struct Metric {
  static constexpr size_t kMaxLabels = 3;
  const char* name;
  Type type;
  std::array<const char*, kMaxLabels> labels;  // names, in the order in which values are given
  const char* help;
  const char* worry;  // when an operator should look, for docs/metrics.md and alerts

  constexpr size_t labelCount() const {
    size_t count = 0;
    while (count < kMaxLabels && labels[count] != nullptr) ++count;
    return count;
  }
};

namespace names {

inline constexpr Metric kBuildInfo{"sluice_build_info",
                                   Type::Gauge,
                                   {"version", "commit"},
                                   "Always 1; the labels say which build runs.",
                                   "Different versions run for longer than an upgrade takes."};

// Accepting.
inline constexpr Metric kSmtpConnections{
    "sluice_smtp_connections",
    Type::Gauge,
    {"direction", "connector"},
    "Open SMTP connections, in from clients and out to destinations.",
    "Inbound ones near max_connections."};
inline constexpr Metric kMessagesAccepted{"sluice_messages_accepted_total",
                                          Type::Counter,
                                          {"connector"},
                                          "Messages answered 250, each durable by then.",
                                          "None for a time in which there should be some."};
inline constexpr Metric kBytesAccepted{"sluice_bytes_accepted_total",
                                       Type::Counter,
                                       {"connector"},
                                       "Bytes of content of the messages accepted.",
                                       "Far from what the applications send."};
inline constexpr Metric kMessagesRefused{
    "sluice_messages_refused_total",
    Type::Counter,
    {"connector", "status"},
    "Mail transactions or recipients refused, by enhanced status code.",
    "4.3.x: no room or a failing disk. 5.7.x: somebody tries to relay."};
inline constexpr Metric kClientFaults{
    "sluice_client_faults_total",
    Type::Counter,
    {"connector", "fault"},
    "What clients did wrong: timeout, early_talker, proxy_header, held_back, bare_newline, "
    "gone_before_reply.",
    "gone_before_reply rises: clients give up before their 250 and will send again."};
inline constexpr Metric kDkimMessages{
    "sluice_dkim_messages_total",
    Type::Counter,
    {"connector", "result"},
    "Messages accepted while there are [[dkim]] keys: signed or unsigned.",
    "unsigned rises: an application writes a From whose domain has no key."};
inline constexpr Metric kAuthentications{
    "sluice_authentications_total",
    Type::Counter,
    {"connector", "result"},
    "Attempts of clients to authenticate: accepted, failed (wrong credentials or nonsense), "
    "shut_out (too many failures before), not_now (overload, or the users file is unreadable).",
    "failed and shut_out rise: somebody guesses. not_now: users cannot get in."};
inline constexpr Metric kShed{"sluice_shed_total",
                              Type::Counter,
                              {"reason"},
                              "Connections and messages turned away to protect the relay.",
                              "It rises: a limit is reached."};

// Delivering.
inline constexpr Metric kDeliveries{"sluice_deliveries_total",
                                    Type::Counter,
                                    {"connector", "result"},
                                    "Attempts that came to an end, one a recipient, by result.",
                                    "bounced, deferred or expired rise against delivered."};
inline constexpr Metric kDeliveriesAmbiguous{
    "sluice_deliveries_ambiguous_total",
    Type::Counter,
    {"connector"},
    "Transactions whose final dot was sent and never answered.",
    "It rises: each may reach its recipients twice."};
inline constexpr Metric kDeliveryDelay{
    "sluice_delivery_delay_seconds",
    Type::Histogram,
    {"connector"},
    "From our 250 to the destination's, a recipient.",
    "The 95th percentile leaves the seconds although the queue is small."};
inline constexpr Metric kNotices{
    "sluice_notices_total",
    Type::Counter,
    {"kind"},
    "Notices made by the relay itself: failure, delay, success.",
    "failure rises: applications send to addresses that do not exist."};

// The queue.
inline constexpr Metric kQueueRecipients{
    "sluice_queue_recipients",
    Type::Gauge,
    {"state"},
    "Recipients in the queue by state.",
    "ready grows: delivery is slower than acceptance. deferred grows: destinations refuse."};
inline constexpr Metric kQueueMessages{
    "sluice_queue_messages", Type::Gauge, {}, "Messages in the queue.", "It only grows."};
inline constexpr Metric kQueueOldest{"sluice_queue_oldest_seconds",
                                     Type::Gauge,
                                     {},
                                     "Age of the oldest message in the queue, 0 when it is empty.",
                                     "Beyond delay_notice: senders have been told already."};
inline constexpr Metric kCommitSeconds{
    "sluice_commit_seconds",
    Type::Histogram,
    {},
    "Time of one group commit, its disk sync included.",
    "The 99th percentile over 100 ms: the disk is slow or busy."};
inline constexpr Metric kCommitMessages{"sluice_commit_messages",
                                        Type::Histogram,
                                        {},
                                        "Messages made durable by one group commit.",
                                        "Always high: acceptance waits for the disk."};
inline constexpr Metric kSyncs{"sluice_syncs_total",
                               Type::Counter,
                               {},
                               "Times that the queue's log was synced to disk.",
                               "Near what the disk can do (see sluice_commit_seconds)."};
inline constexpr Metric kRecoveryDroppedBytes{
    "sluice_recovery_dropped_bytes",
    Type::Gauge,
    {},
    "Bytes at the end of the log that the last start could not read.",
    "Over 0: more than an unacknowledged tail may be lost; see the log of that start."};
inline constexpr Metric kTrackingBytes{
    "sluice_tracking_bytes",
    Type::Gauge,
    {},
    "Bytes on disk of what is kept of messages that have left.",
    "It stays near [tracking] max_size and searches find less than a [tracking] keep."};
inline constexpr Metric kQuarantinedMessages{
    "sluice_quarantined_messages",
    Type::Gauge,
    {},
    "Messages set aside because their stored bytes fail their checksum.",
    "Over 0: the disk or the memory is bad."};
inline constexpr Metric kDiskFree{"sluice_disk_free_bytes",
                                  Type::Gauge,
                                  {},
                                  "Free bytes on the file system of the queue.",
                                  "It nears disk_reserve: mail is refused then."};

// Names and TLS.
inline constexpr Metric kDnsSeconds{
    "sluice_dns_seconds",
    Type::Histogram,
    {"type", "result"},
    "Time of one DNS look-up that was not answered from the cache.",
    "failed results, or a 95th percentile over a second: the resolver is ill."};
inline constexpr Metric kTlsSessions{"sluice_tls_sessions_total",
                                     Type::Counter,
                                     {"direction", "version", "resumed"},
                                     "TLS handshakes completed.",
                                     "None towards destinations that used to offer TLS."};
inline constexpr Metric kTlsPolicies{
    "sluice_tls_policies_total",
    Type::Counter,
    {"connector", "policy", "result"},
    "Connections to hosts with a published TLS policy (dane, mta-sts) that was kept or failed.",
    "failed rises: a destination's certificate or records are wrong, or somebody listens."};
inline constexpr Metric kTlsReports{"sluice_tls_reports_total",
                                    Type::Counter,
                                    {"result"},
                                    "Daily TLS reports by what became of them: sent, failed.",
                                    "failed rises: see the event tls_report_failed."};
inline constexpr Metric kCertificateExpiry{
    "sluice_certificate_expiry_seconds",
    Type::Gauge,
    {"name"},
    "Seconds until the certificate expires, negative when it has.",
    "Below 14 days."};

// Destinations: the busiest few by name, the rest as "other".
inline constexpr Metric kDestinationRecipients{"sluice_destination_recipients",
                                               Type::Gauge,
                                               {"destination", "state"},
                                               "Recipients queued for one destination by state.",
                                               "One destination grows while others do not."};
inline constexpr Metric kDestinationOldest{"sluice_destination_oldest_seconds",
                                           Type::Gauge,
                                           {"destination"},
                                           "Age of the oldest message queued for one destination.",
                                           "It grows: nothing gets through to it."};
inline constexpr Metric kDestinationConnections{
    "sluice_destination_connections",
    Type::Gauge,
    {"destination"},
    "Open connections to one destination.",
    "At its max_connections while recipients are ready."};
inline constexpr Metric kDestinationDeliveries{
    "sluice_destination_deliveries_total",
    Type::Counter,
    {"destination", "result"},
    "Attempts that came to an end at one destination, one a recipient, by result.",
    "bounced or deferred rise: look at its last reply with `sluice queue`."};

// The process.
inline constexpr Metric kMemory{"sluice_memory_bytes",
                                Type::Gauge,
                                {},
                                "Resident memory of the process.",
                                "It nears the limit of the cgroup or the machine."};
inline constexpr Metric kLoopLag{
    "sluice_loop_lag_seconds",
    Type::Histogram,
    {},
    "By how much event loops came round late, the worst in each measuring period.",
    "Over 100 ms: something blocks a loop, or the CPUs are used up."};
inline constexpr Metric kLogDropped{
    "sluice_log_dropped_total",
    Type::Counter,
    {},
    "Events that were not logged because the reader of the log is too slow.",
    "It rises: the log has holes."};
inline constexpr Metric kReloadFailures{
    "sluice_reload_failures_total",
    Type::Counter,
    {},
    "Reloads refused because of mistakes, and changed certificates and users files that cannot be "
    "used.",
    "It rises: the relay runs with an older configuration than its file."};

}  // namespace names

// In the order of the exposition and of docs/metrics.md.
inline constexpr const Metric* kAllMetrics[] = {
    &names::kBuildInfo,
    &names::kSmtpConnections,
    &names::kMessagesAccepted,
    &names::kBytesAccepted,
    &names::kMessagesRefused,
    &names::kClientFaults,
    &names::kDkimMessages,
    &names::kAuthentications,
    &names::kShed,
    &names::kDeliveries,
    &names::kDeliveriesAmbiguous,
    &names::kDeliveryDelay,
    &names::kNotices,
    &names::kQueueRecipients,
    &names::kQueueMessages,
    &names::kQueueOldest,
    &names::kCommitSeconds,
    &names::kCommitMessages,
    &names::kSyncs,
    &names::kRecoveryDroppedBytes,
    &names::kTrackingBytes,
    &names::kQuarantinedMessages,
    &names::kDiskFree,
    &names::kDnsSeconds,
    &names::kTlsSessions,
    &names::kTlsPolicies,
    &names::kTlsReports,
    &names::kCertificateExpiry,
    &names::kDestinationRecipients,
    &names::kDestinationOldest,
    &names::kDestinationConnections,
    &names::kDestinationDeliveries,
    &names::kMemory,
    &names::kLoopLag,
    &names::kLogDropped,
    &names::kReloadFailures,
};

}  // namespace sluice::metrics
