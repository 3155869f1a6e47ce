#include "relay/cli/manual.h"

#include <algorithm>
#include <sstream>

namespace sluice::relay {
namespace {

constexpr const char* kExitStatus =
    "0 done, 1 the command failed or found something wrong, 2 wrong usage.";

std::vector<const CLI::App*> shownCommands(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App* one) { return !one->get_group().empty(); });
}

std::vector<const CLI::Option*> shownOptions(const CLI::App& app, bool positional) {
  return app.get_options([positional](const CLI::Option* option) {
    return !option->get_group().empty() && option->get_positional() == positional;
  });
}

// "FILE", "FILE..." for one that may be given several times, "" for a flag.
std::string valueOf(const CLI::Option& option) {
  std::string value = option.get_type_name();
  if (option.get_expected_max() > 1 && !value.empty()) value += "...";
  return value;
}

// "-c, --config FILE"
std::string spelling(const CLI::Option& option) {
  if (option.get_positional()) return option.get_name(true);
  std::string names = option.get_name(false, true);
  for (size_t at = 0; (at = names.find(',', at)) != std::string::npos; at += 2) {
    names.replace(at, 1, ", ");
  }
  const std::string value = valueOf(option);
  return value.empty() ? names : names + " " + value;
}

std::string meaning(const CLI::Option& option) {
  std::string text = option.get_description();
  if (const std::string standard = option.get_default_str(); !standard.empty()) {
    text += " (default: " + standard + ")";
  }
  return text;
}

// "sluice queue [OPTIONS]"
std::string usage(const CLI::App& command, const std::string& name) {
  std::string line = name + " [OPTIONS]";
  for (const CLI::Option* option : shownOptions(command, true)) {
    std::string word = option->get_name(true);
    if (option->get_expected_max() > 1) word += "...";
    line += option->get_required() ? " " + word : " [" + word + "]";
  }
  if (!shownCommands(command).empty()) line += " SUBCOMMAND";
  return line;
}

std::vector<std::string> linesOf(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

// --- roff ----------------------------------------------------------------------------------------

std::string roff(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else if (c == '\'') {
      out += "\\(aq";
    } else {
      out += c;
    }
  }
  return out.starts_with('.') ? "\\&" + out : out;
}

// "a "b"" as one argument of a request.
std::string asArgument(const std::string& text) {
  std::string out = roff(text);
  for (size_t at = 0; (at = out.find('"', at)) != std::string::npos; at += 4) {
    out.replace(at, 1, "\\(dq");
  }
  return '"' + out + '"';
}

void writeOptions(std::ostream& out, const CLI::App& command) {
  for (const bool positional : {true, false}) {
    for (const CLI::Option* option : shownOptions(command, positional)) {
      out << ".TP\n.B " << asArgument(spelling(*option)) << '\n' << roff(meaning(*option)) << '\n';
    }
  }
}

// As it was written, lines kept.
void writeVerbatim(std::ostream& out, const std::string& text) {
  out << ".nf\n";
  for (const std::string& line : linesOf(text)) out << roff(line) << '\n';
  out << ".fi\n";
}

void writeSubcommand(std::ostream& out, const CLI::App& command, const std::string& parent) {
  const std::string name = parent + " " + command.get_name();
  out << ".SS " << asArgument(usage(command, name)) << '\n'
      << roff(command.get_description()) << ".\n";
  writeOptions(out, command);
  if (const std::string footer = command.get_footer(); !footer.empty()) {
    out << ".PP\n";
    writeVerbatim(out, footer);
  }
  for (const CLI::App* one : shownCommands(command)) writeSubcommand(out, *one, name);
}

void writeHead(std::ostream& out, const CLI::App& command, const std::string& page,
               const std::string& name, const std::string& version) {
  std::string title = page;
  std::transform(title.begin(), title.end(), title.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  out << ".TH " << asArgument(title) << " 1 \"\" " << asArgument("Sluice " + version)
      << " \"Sluice\"\n.SH NAME\n"
      << roff(page) << " \\- " << roff(command.get_description()) << "\n.SH SYNOPSIS\n.B "
      << asArgument(usage(command, name)) << "\n.SH OPTIONS\n";
  writeOptions(out, command);
}

void writeEnd(std::ostream& out, const CLI::App& command, const std::string& others) {
  if (const std::string footer = command.get_footer(); !footer.empty()) {
    out << ".SH NOTES\n";
    writeVerbatim(out, footer);
  }
  out << ".SH EXIT STATUS\n" << kExitStatus << "\n.SH SEE ALSO\n" << others << '\n';
}

ManPage commandPage(const CLI::App& command, const std::string& version) {
  const std::string page = "sluice-" + command.get_name();
  const std::string name = "sluice " + command.get_name();
  std::ostringstream out;
  writeHead(out, command, page, name, version);
  const auto below = shownCommands(command);
  if (!below.empty()) out << ".SH SUBCOMMANDS\n";
  for (const CLI::App* one : below) writeSubcommand(out, *one, name);
  writeEnd(out, command, ".BR sluice (1)");
  return {page + ".1", out.str()};
}

// --- Markdown ------------------------------------------------------------------------------------

std::string cell(const std::string& text) {
  std::string out;
  for (const char c : text) out += c == '|' ? std::string("\\|") : std::string(1, c);
  return out;
}

void writeMarkdown(std::ostream& out, const CLI::App& command, const std::string& name,
                   const std::string& heading) {
  out << '\n'
      << heading << ' ' << name << '\n'
      << command.get_description() << ".\n\n```text\n"
      << usage(command, name) << "\n```\n";
  bool any = false;
  for (const bool positional : {true, false}) {
    for (const CLI::Option* option : shownOptions(command, positional)) {
      if (option == command.get_help_ptr()) continue;
      if (!any) out << "\n| option | |\n| --- | --- |\n";
      any = true;
      out << "| `" << cell(spelling(*option)) << "` | " << cell(meaning(*option)) << " |\n";
    }
  }
  if (const std::string footer = command.get_footer(); !footer.empty()) {
    out << "\n```text\n" << footer << "\n```\n";
  }
  for (const CLI::App* one : shownCommands(command)) {
    writeMarkdown(out, *one, name + " " + one->get_name(), heading + "#");
  }
}

}  // namespace

std::vector<ManPage> manPages(const CLI::App& app, const std::string& version) {
  std::vector<ManPage> pages;
  std::ostringstream out;
  writeHead(out, app, "sluice", "sluice", version);
  out << ".SH COMMANDS\n";
  std::string others;
  for (const CLI::App* command : shownCommands(app)) {
    out << ".TP\n.BR " << roff("sluice-" + command->get_name()) << " (1)\n"
        << roff(command->get_description()) << '\n';
    others +=
        (others.empty() ? ".BR " : ",\n.BR ") + roff("sluice-" + command->get_name()) + " (1)";
    pages.push_back(commandPage(*command, version));
  }
  writeEnd(out, app, others);
  pages.insert(pages.begin(), {"sluice.1", out.str()});
  return pages;
}

std::string commandsPage(const CLI::App& app) {
  std::ostringstream out;
  out << "# Commands\n\nEvery command with its options, as `--help` and the man pages have them. "
         "This page is "
         "made by\n`sluice manual --markdown`; a test compares them.\n\nExit status: "
      << kExitStatus << '\n';
  for (const CLI::App* command : shownCommands(app)) {
    writeMarkdown(out, *command, "sluice " + command->get_name(), "##");
  }
  return out.str();
}

}  // namespace sluice::relay
