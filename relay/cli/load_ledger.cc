#include "relay/cli/load_ledger.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <unordered_map>
#include <unordered_set>

namespace sluice::relay {
namespace {

constexpr size_t kMaxExamples = 10;
constexpr std::string_view kFailed =
    " failed";  // behind "ID RECIPIENT": a report of the failure came

struct Fate {
  char what = 0;  // A, U, R; 0: not in any ledger
  uint32_t copies = 0;
  bool reported = false;
};
using Fates = std::unordered_map<std::string, Fate>;

template <class EachLine>
Result<void> readLines(const std::string& path, EachLine each) {
  std::ifstream file(path);
  if (!file) return fail(Errc::Io, path + ": " + std::strerror(errno));
  std::string line;
  while (std::getline(file, line)) RETURN_IF_ERROR(each(line));
  return {};
}

std::string runOf(std::string_view key) {
  const std::string_view id = key.substr(0, key.find(' '));
  return std::string(id.substr(0, id.rfind('.')));
}

Result<void> readLedger(const std::string& path, Fates& fates,
                        std::unordered_set<std::string>& runs) {
  return readLines(path, [&](const std::string& line) -> Result<void> {
    const size_t recipient = line.find(' ', 2);
    if (line.size() < 5 || line[1] != ' ' || recipient == std::string::npos ||
        std::string_view("AUR").find(line[0]) == std::string_view::npos) {
      return fail(Errc::Malformed, path + ": not a ledger's line: " + line.substr(0, 80));
    }
    const size_t end = line.find(' ', recipient + 1);
    const std::string key = line.substr(2, end == std::string::npos ? end : end - 2);
    Fate& fate = fates[key];
    if (fate.what != 'A') fate.what = line[0];
    runs.insert(runOf(key));
    return {};
  });
}

void addExample(std::vector<std::string>& examples, const std::string& key) {
  if (examples.size() < kMaxExamples) examples.push_back(key);
}

void judge(const std::string& key, const Fate& fate, LoadCheck& check) {
  switch (fate.what) {
    case 'A':
      ++check.accepted;
      if (fate.copies > 0) {
        ++check.delivered;
      } else if (fate.reported) {
        ++check.reported;
      } else {
        ++check.lost;
        addExample(check.lost_examples, key);
      }
      break;
    case 'U':
      ++check.unknown;
      if (fate.copies > 0) ++check.unknown_delivered;
      break;
    default:
      if (fate.what == 'R') ++check.refused;
      if (fate.copies > 0) {
        ++check.ghosts;
        addExample(check.ghost_examples, key);
      }
      break;
  }
  if (fate.copies > 1) {
    check.duplicates += fate.copies - 1;
    addExample(check.duplicate_examples, key);
  }
}

}  // namespace

Result<LoadLedger> LoadLedger::create(const std::string& path) {
  LoadLedger ledger;
  if (path.empty()) return ledger;
  ledger.file_.reset(std::fopen(path.c_str(), "we"));
  if (!ledger.file_) return fail(Errc::Io, path + ": " + std::strerror(errno));
  return ledger;
}

void LoadLedger::note(char what, std::string_view id, std::string_view recipient, int code) {
  if (!file_) return;
  const auto size = [](std::string_view text) { return static_cast<int>(text.size()); };
  if (what == 'R') {
    std::fprintf(file_.get(), "R %.*s %.*s %d\n", size(id), id.data(), size(recipient),
                 recipient.data(), code);
  } else {
    std::fprintf(file_.get(), "%c %.*s %.*s\n", what, size(id), id.data(), size(recipient),
                 recipient.data());
  }
}

void LoadLedger::flush() {
  if (file_) std::fflush(file_.get());
}

Result<LoadCheck> checkDeliveries(const std::vector<std::string>& ledgers,
                                  const std::vector<std::string>& journals) {
  Fates fates;
  std::unordered_set<std::string> runs;
  for (const std::string& path : ledgers) RETURN_IF_ERROR(readLedger(path, fates, runs));
  LoadCheck check;
  for (const std::string& path : journals) {
    RETURN_IF_ERROR(readLines(path, [&](const std::string& line) -> Result<void> {
      if (runs.contains(runOf(line))) {
        if (line.ends_with(kFailed)) {
          fates[line.substr(0, line.size() - kFailed.size())].reported = true;
        } else {
          ++fates[line].copies;
        }
      } else {
        ++check.foreign;
      }
      return {};
    }));
  }
  for (const auto& [key, fate] : fates) judge(key, fate, check);
  return check;
}

nlohmann::json LoadCheck::toJson() const {
  return {{"accepted", accepted},
          {"delivered", delivered},
          {"reported", reported},
          {"lost", lost},
          {"duplicates", duplicates},
          {"ghosts", ghosts},
          {"unknown", unknown},
          {"unknown_delivered", unknown_delivered},
          {"refused", refused},
          {"foreign", foreign},
          {"lost_examples", lost_examples},
          {"duplicate_examples", duplicate_examples},
          {"ghost_examples", ghost_examples}};
}

}  // namespace sluice::relay
