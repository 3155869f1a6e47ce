// A strict reader of the Prometheus text format 0.0.4, for tests of what we expose.
#pragma once

#include <cctype>
#include <cstdlib>
#include <cstring>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace sluice::metrics {

struct Exposition {
  std::map<std::string, double> samples;     // "name{a=\"b\"}" as written -> value
  std::map<std::string, std::string> types;  // family -> counter, gauge, histogram
  std::vector<std::string> mistakes;

  double at(const std::string& series) const {
    const auto found = samples.find(series);
    return found == samples.end() ? -1 : found->second;
  }
};

// The family that a sample belongs to: histograms have suffixes.
inline std::string familyOfSample(const std::string& name, const Exposition& out) {
  for (const std::string suffix : {"_bucket", "_sum", "_count"}) {
    if (!name.ends_with(suffix)) continue;
    const std::string base = name.substr(0, name.size() - suffix.size());
    const auto type = out.types.find(base);
    if (type != out.types.end() && type->second == "histogram") return base;
  }
  return name;
}

// End of a "{...}" label set at `at`, or npos: label names, quotes and escapes as the format wants.
inline size_t endOfLabels(const std::string& line, size_t at) {
  ++at;
  while (at < line.size() && line[at] != '}') {
    const size_t name = at;
    while (at < line.size() && (isalnum(line[at]) || line[at] == '_')) ++at;
    if (at == name || isdigit(line[name]) || line.substr(at, 2) != "=\"") return std::string::npos;
    for (at += 2; at < line.size() && line[at] != '"'; ++at) {
      if (line[at] == '\\' && (++at >= line.size() || !strchr("\\\"n", line[at]))) {
        return std::string::npos;
      }
    }
    if (at >= line.size()) return std::string::npos;
    if (line[++at] == ',') ++at;
  }
  return at < line.size() ? at + 1 : std::string::npos;
}

inline void readSample(const std::string& line, const std::string& family, Exposition& out) {
  size_t at = 0;
  while (at < line.size() && (isalnum(line[at]) || line[at] == '_' || line[at] == ':')) ++at;
  const std::string name = line.substr(0, at);
  if (at < line.size() && line[at] == '{') at = endOfLabels(line, at);
  if (name.empty() || at == std::string::npos || at >= line.size() || line[at] != ' ') {
    out.mistakes.push_back("not a sample: " + line);
    return;
  }
  if (familyOfSample(name, out) != family) out.mistakes.push_back("out of its family: " + line);
  char* end = nullptr;
  const std::string number = line.substr(at + 1);
  const double value = strtod(number.c_str(), &end);
  if (number.empty() || *end != '\0') out.mistakes.push_back("not a number: " + line);
  if (!out.samples.emplace(line.substr(0, at), value).second) {
    out.mistakes.push_back("twice: " + line);
  }
}

inline Exposition readExposition(const std::string& text) {
  Exposition out;
  if (text.empty() || text.back() != '\n') out.mistakes.emplace_back("no newline at the end");
  std::istringstream lines(text);
  std::string family;
  std::set<std::string> seen;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("# HELP ")) continue;
    if (line.starts_with("# TYPE ")) {
      std::istringstream words(line.substr(7));
      std::string type;
      words >> family >> type;
      if (!seen.insert(family).second) out.mistakes.push_back("family twice: " + family);
      out.types[family] = type;
      continue;
    }
    readSample(line, family, out);
  }
  return out;
}

}  // namespace sluice::metrics
