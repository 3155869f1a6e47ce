// Where a sink keeps what it accepted: files, a journal of identities, lines for people.
//
// One thread. Buffered; flush() writes what waits.
#pragma once

#include <cstdio>
#include <memory>
#include <ostream>
#include <string>

#include "net/base/clock.h"
#include "relay/cli/sink_session.h"
#include "relay/cli/sink_tally.h"

namespace sluice::relay {

struct SinkRecorderOptions {
  std::string maildir;  // a file a message: NAME.eml and, written before it, NAME.json; empty: none
  // A line "ID RECIPIENT" a recipient, and "ID RECIPIENT failed" where a failure report about a
  // message of `sluice load` came instead; empty: none
  std::string ids_file;
  bool verbose = false;  // a JSON line a message
};

class SinkRecorder final : public SinkKeeper {
 public:
  // Errors: Io. `tally` and `out` outlive it.
  static Result<std::unique_ptr<SinkRecorder>> create(SinkRecorderOptions options, SinkTally& tally,
                                                      std::ostream& out);
  bool keep(const SinkMessage& message) override;
  // Errors: Io (the journal could not be written).
  Result<void> flush();

 private:
  struct CloseFile {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  SinkRecorder(SinkRecorderOptions options, SinkTally& tally, std::ostream& out);
  void writeIds(const SinkMessage& message, const SinkIdentity& identity);
  void writeId(std::string_view id, std::string_view recipient, std::string_view rest);
  bool writeFiles(const SinkMessage& message, const nlohmann::json& envelope);

  SinkRecorderOptions options_;
  SinkTally& tally_;
  std::ostream& out_;
  std::unique_ptr<std::FILE, CloseFile> ids_;
  uint64_t number_ = 0;
  uint64_t start_us_ = 0;  // keeps the names of two runs apart
};

// The envelope as JSON; bytes that are no UTF-8 are replaced.
nlohmann::json envelopeOf(const SinkMessage& message, const SinkIdentity& identity, WallTime now);

}  // namespace sluice::relay
