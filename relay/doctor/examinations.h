// What `sluice doctor` looks at, each part a function: it reads, asks and connects, changes
// nothing, and says what it found. They share what they find out on the way.
#pragma once

#include <chrono>
#include <set>
#include <string>
#include <vector>

#include "net/loop.h"
#include "relay/config/config_reader.h"
#include "relay/config/machine.h"
#include "relay/doctor/findings.h"
#include "relay/doctor/name_service.h"
#include "relay/route/router.h"

namespace sluice::relay {

struct DoctorOptions {
  std::vector<std::string> from;          // domains of From; lower-case A-labels
  std::vector<std::string> destinations;  // domains; empty: well-known ones, where mail goes by MX
  std::vector<IpAddress> addresses;       // what the world sees us as, where that is translated
  std::chrono::milliseconds patience{5000};  // for each question and each reply
  bool offline = false;                      // look at this machine only
};

struct Examination {
  const Config& config;
  const DoctorOptions& options;
  const Router& router;
  net::Loop& loop;
  NameService& names;
  Findings& findings;
  // Addresses that others see our mail come from, as far as they are known; examineAddresses()
  // fills them.
  std::set<IpAddress> public_addresses;

  bool sendsByMx() const;
};

// This machine. Of the configuration every mistake is an error.
void examineConfiguration(const LoadedConfig& loaded, Findings& findings);
void examineCertificates(const Config& config, Findings& findings);
void examineDisk(const Config& config, Findings& findings);
void examineMachine(const Config& config, Findings& findings, const MachineFiles& files = {});

// The network. False: no name server answers, and the rest cannot be examined.
bool examineNameServers(const Config& config, const DoctorOptions& options, net::Loop& loop,
                        Findings& findings);
void examineAddresses(Examination& examination);     // PTR and HELO
void examineAuthors(Examination& examination);       // SPF, DKIM, DMARC
void examineDestinations(Examination& examination);  // MX, port 25, STARTTLS, certificates
void examineSmartHosts(Examination& examination);    // and their credentials

// All of it. Errors: Io (no event loop).
Result<void> examineAll(const LoadedConfig& loaded, const DoctorOptions& options,
                        Findings& findings);

// What a stranger may have written, short enough to show.
std::string quoted(std::string_view text);
std::string listed(const std::vector<std::string>& words, size_t most = 4);
// "in 12 days", "3 hours ago".
std::string whenOf(WallTime time, WallTime now);

}  // namespace sluice::relay
