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
  scene.capabilities = {true, true, true, true, true, true, true, true, true};
  return scene;
}

inline std::string allMistakes(const LoadedConfig& loaded) {
  std::string out;
  for (const auto& mistake : loaded.mistakes) out += mistake.toString() + "\n";
  return out;
}

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
