// A made-up machine and a folder of files for tests of the configuration.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>

#include "relay/config/config_reader.h"

namespace sluice::relay {

// Everything supported, 8 GiB, no variables but these.
inline Surroundings sceneWith(std::map<std::string, std::string> variables = {}) {
  Surroundings scene;
  scene.variable = [variables](const std::string& name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    return found == variables.end() ? std::nullopt : std::optional(found->second);
  };
  scene.hostname = "relay.example.com";
  scene.memory_bytes = 8ull << 30;
  return scene;
}

// A users file that can be read; nobody knows the password.
inline constexpr const char* kUsersLine =
    "ann scrypt$10$1$1$c2FsdA==$eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHg=\n";

inline std::string allMistakes(const LoadedConfig& loaded) {
  std::string out;
  for (const auto& mistake : loaded.mistakes) out += mistake.toString() + "\n";
  return out;
}

// A certificate for relay.test, good for a hundred years, its key, and the key of another.
inline constexpr const char* kCertificatePem = R"(-----BEGIN CERTIFICATE-----
MIIBmDCCAT6gAwIBAgIUMuziKBzDfM6Gs5dODmmhbYvESDwwCgYIKoZIzj0EAwIw
FTETMBEGA1UEAwwKcmVsYXkudGVzdDAgFw0yNjExMjQxMjAyNDlaGA8yMTI2MTAz
MTEyMDI0OVowFTETMBEGA1UEAwwKcmVsYXkudGVzdDBZMBMGByqGSM49AgEGCCqG
SM49AwEHA0IABIx2UML9aZYJIXhFVTOdWsZNAcuAIXQX60ZFjjO86UKynvEJ0e2Q
uDtWbQ1o3vwcbV95WYcPpWyrTBRkTon02bCjajBoMB0GA1UdDgQWBBTxn2hoqSC9
7sGA+JUnNsxOZj9FjDAfBgNVHSMEGDAWgBTxn2hoqSC97sGA+JUnNsxOZj9FjDAP
BgNVHRMBAf8EBTADAQH/MBUGA1UdEQQOMAyCCnJlbGF5LnRlc3QwCgYIKoZIzj0E
AwIDSAAwRQIhANpVlHdO5ldntc2NQDNABwm08y0ZqEGx+J5Q9kCfG6j7AiBeFYHw
jsg4lz4/P4JIGQifTBIP7osg3+PvDjOzyRIQBg==
-----END CERTIFICATE-----
)";
inline constexpr const char* kKeyPem = R"(-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgdBLvNNc0MyA2f8S3
20KEKubHOJaPUOzaK3cUZAPUZoihRANCAASMdlDC/WmWCSF4RVUznVrGTQHLgCF0
F+tGRY4zvOlCsp7xCdHtkLg7Vm0NaN78HG1feVmHD6Vsq0wUZE6J9Nmw
-----END PRIVATE KEY-----
)";
inline constexpr const char* kOtherKeyPem = R"(-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgFvrsDdfQmCmNgDZv
hSH6CssM19gM8LiYp66k6mVndKihRANCAATaIMmNJdEMr1fzMJNlJbnTy8zeVgKX
zdmrftgSn0MOSiHjUdCsVd593c9hY8hZKWa/AVHkXVUZqcGSFS6uivFD
-----END PRIVATE KEY-----
)";

// A folder that goes away with the test; files in it are made with a mode.
class TestFolder {
 public:
  TestFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "sluice-config-XXXXXX").string();
    path_ = mkdtemp(name.data());
  }
  ~TestFolder() { std::filesystem::remove_all(path_); }
  TestFolder(const TestFolder&) = delete;
  TestFolder& operator=(const TestFolder&) = delete;

  std::string path() const { return path_; }
  std::string file(const std::string& name, const std::string& content, mode_t mode = 0600) const {
    const std::string path = path_ + "/" + name;
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    std::ofstream(path) << content;
    chmod(path.c_str(), mode);
    return path;
  }

 private:
  std::string path_;
};

}  // namespace sluice::relay
