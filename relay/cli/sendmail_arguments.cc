#include "relay/cli/sendmail_arguments.h"

#include <algorithm>

namespace sluice::relay {
namespace {

// Options with a value that changes nothing here: body type, configuration file, debugging, hops,
// log tag, other options, protocol and host of origin, traffic file.
constexpr std::string_view kIgnoredWithValue = "BCdhLOpX";
constexpr std::string_view kIgnoredAlone = "AGInmUvxE";

std::string upper(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
  return out;
}

Result<std::string> notifyOf(std::string_view value) {
  const std::string words = upper(value);
  std::string_view rest = words;
  bool never = false;
  size_t count = 0;
  while (!rest.empty()) {
    const size_t comma = std::min(rest.find(','), rest.size());
    const std::string_view word = rest.substr(0, comma);
    rest.remove_prefix(std::min(comma + 1, rest.size()));
    if (word != "NEVER" && word != "SUCCESS" && word != "FAILURE" && word != "DELAY") {
      return fail(Errc::InvalidArgument, "-N: never, or success, failure and delay");
    }
    never |= word == "NEVER";
    ++count;
  }
  if (count == 0 || (never && count > 1)) {
    return fail(Errc::InvalidArgument, "-N: never, or success, failure and delay");
  }
  return words;
}

class Parser {
 public:
  explicit Parser(std::span<const char* const> arguments) : arguments_(arguments) {}

  Result<SendmailArguments> parse() {
    while (at_ < arguments_.size()) {
      const std::string_view word = arguments_[at_++];
      if (only_recipients_ || word.size() < 2 || word.front() != '-') {
        out_.recipients.emplace_back(word);
      } else if (word == "--") {
        only_recipients_ = true;
      } else if (word.starts_with("--")) {
        RETURN_IF_ERROR(takeLong(word));
      } else {
        RETURN_IF_ERROR(take(word[1], word.substr(2)));
      }
    }
    if (out_.mode == SendmailArguments::Mode::Deliver && out_.recipients.empty() &&
        !out_.take_recipients) {
      return fail(Errc::InvalidArgument, "no recipients: name them, or -t to take the header's");
    }
    return std::move(out_);
  }

 private:
  Result<std::string> valueOf(char option, std::string_view rest) {
    if (!rest.empty()) return std::string(rest);
    if (at_ == arguments_.size()) {
      return fail(Errc::InvalidArgument, std::string("-") + option + " wants a value");
    }
    return std::string(arguments_[at_++]);
  }

  Result<void> takeLong(std::string_view word) {
    const size_t equals = std::min(word.find('='), word.size());
    const std::string_view name = word.substr(0, equals);
    std::string* to = name == "--relay"    ? &out_.relay
                      : name == "--config" ? &out_.config_path
                                           : nullptr;
    if (to == nullptr) return fail(Errc::InvalidArgument, "no such option: " + std::string(word));
    ASSIGN_OR_RETURN(*to, equals < word.size() ? Result<std::string>(word.substr(equals + 1))
                                               : valueOf('-', {}));
    return {};
  }

  Result<void> take(char option, std::string_view rest) {
    using Mode = SendmailArguments::Mode;
    switch (option) {
      case 't':
        out_.take_recipients = true;
        return alone(rest);
      case 'i':
        out_.dot_ends = false;
        return alone(rest);
      case 'o':
        return takeOld(rest);
      case 'f':
      case 'r': {
        ASSIGN_OR_RETURN(out_.sender, emptyOrValue(option, rest));
        out_.has_sender = true;
        return {};
      }
      case 'F': {
        ASSIGN_OR_RETURN(out_.full_name, valueOf(option, rest));
        return {};
      }
      case 'N': {
        ASSIGN_OR_RETURN(const std::string value, valueOf(option, rest));
        ASSIGN_OR_RETURN(out_.notify, notifyOf(value));
        return {};
      }
      case 'R': {
        ASSIGN_OR_RETURN(const std::string value, valueOf(option, rest));
        out_.ret = upper(value) == "FULL" ? "FULL" : "HDRS";
        return {};
      }
      case 'V': {
        ASSIGN_OR_RETURN(out_.envid, valueOf(option, rest));
        return {};
      }
      case 'b':
        return takeMode(rest);
      case 'q':
        out_.mode = Mode::Nothing;
        return {};
      default:
        break;
    }
    if (kIgnoredAlone.find(option) != std::string_view::npos) {
      if (option == 'I') out_.mode = Mode::Nothing;  // newaliases
      return {};
    }
    if (kIgnoredWithValue.find(option) != std::string_view::npos) {
      RETURN_IF_ERROR(valueOf(option, rest));
      return {};
    }
    return fail(Errc::InvalidArgument, std::string("no such option: -") + option);
  }

  // Behind an option without a value others may follow at once: "-ti".
  Result<void> alone(std::string_view rest) {
    if (rest.empty()) return {};
    return take(rest.front(), rest.substr(1));
  }

  // An empty word behind -f is the null reverse-path.
  Result<std::string> emptyOrValue(char option, std::string_view rest) {
    if (rest.empty() && at_ < arguments_.size() && *arguments_[at_] == '\0') {
      ++at_;
      return std::string();
    }
    return valueOf(option, rest);
  }

  // -oi; -oem and others are about how the old program told of errors.
  Result<void> takeOld(std::string_view rest) {
    if (rest == "i") out_.dot_ends = false;
    if (!rest.empty()) return {};
    ASSIGN_OR_RETURN(const std::string value, valueOf('o', rest));
    if (value == "i") out_.dot_ends = false;
    return {};
  }

  Result<void> takeMode(std::string_view rest) {
    using Mode = SendmailArguments::Mode;
    if (rest == "m") {
      out_.mode = Mode::Deliver;
    } else if (rest == "s") {
      out_.mode = Mode::Smtp;
    } else if (rest == "i") {
      out_.mode = Mode::Nothing;
    } else if (rest == "p") {
      return fail(Errc::InvalidArgument, "-bp: the queue is shown by sluice queue");
    } else {
      return fail(Errc::InvalidArgument,
                  "-b" + std::string(rest) + " is not done here: -bm and -bs are");
    }
    return {};
  }

  std::span<const char* const> arguments_;
  size_t at_ = 0;
  bool only_recipients_ = false;
  SendmailArguments out_;
};

}  // namespace

Result<SendmailArguments> parseSendmail(std::span<const char* const> arguments) {
  return Parser(arguments).parse();
}

}  // namespace sluice::relay
