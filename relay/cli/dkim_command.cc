// sluice dkim keygen: a key that signs mail, and the DNS record that lets others verify it.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>
#include <ostream>

#include "relay/cli/commands.h"
#include "relay/config/config_names.h"
#include "relay/sign/dkim_record.h"

namespace sluice::relay {
namespace {

struct KeygenOptions {
  std::string domain;
  std::string selector;
  std::string output;
  bool ed25519 = false;
  unsigned bits = 2048;
  bool json = false;
};

// Readable by its owner only from the first moment; never over another key.
Result<void> writeKey(const std::string& path, std::string_view pem) {
  const auto failed = [&path](int error) {
    return fail(error == EEXIST ? Errc::Exists : Errc::Io,
                "cannot write " + path + ": " + std::strerror(error));
  };
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file < 0) return failed(errno);
  int error = ::fchmod(file, 0600) == 0 ? 0 : errno;
  while (error == 0 && !pem.empty()) {
    const ssize_t count = ::write(file, pem.data(), pem.size());
    if (count > 0) pem.remove_prefix(static_cast<size_t>(count));
    if (count < 0 && errno != EINTR) error = errno;
  }
  if (error == 0 && ::fsync(file) != 0) error = errno;
  if (::close(file) != 0 && error == 0) error = errno;
  if (error == 0) return {};
  ::unlink(path.c_str());
  return failed(error);
}

void print(const KeygenOptions& options, const net::SigningKey& key, std::ostream& out) {
  const std::string name = dkimRecordName(options.domain, options.selector);
  const std::string record = dkimRecord(key);
  if (options.json) {
    out << nlohmann::ordered_json{{"domain", options.domain},
                                  {"selector", options.selector},
                                  {"key", options.output},
                                  {"name", name},
                                  {"record", record}}
               .dump(2)
        << '\n';
    return;
  }
  out << "; The private key is in " << options.output << ": let only the relay read it.\n"
      << "; Publish this record:\n"
      << dkimZoneLine(name, record) << '\n'
      << "; Once it can be seen (sluice check --dns), sign with it:\n"
      << ";   [[dkim]]\n"
      << ";   domain   = \"" << options.domain << "\"\n"
      << ";   selector = \"" << options.selector << "\"\n"
      << ";   key      = \"" << options.output << "\"\n";
}

Result<void> keygen(KeygenOptions options, std::ostream& out) {
  ASSIGN_OR_RETURN(options.domain, parseHostName(options.domain));
  ASSIGN_OR_RETURN(options.selector, parseSelector(options.selector));
  if (options.output.empty()) options.output = options.selector + "." + options.domain + ".pem";
  ASSIGN_OR_RETURN(const auto key, options.ed25519 ? net::SigningKey::makeEd25519()
                                                   : net::SigningKey::makeRsa(options.bits));
  RETURN_IF_ERROR(writeKey(options.output, key->toPem()));
  print(options, *key, out);
  return {};
}

}  // namespace

void addDkimCommand(CLI::App& app, CliContext& context) {
  CLI::App* dkim = app.add_subcommand("dkim", "Keys that sign mail");
  dkim->require_subcommand(1);
  dkim->footer("Example: sluice dkim keygen --domain example.com --selector s2026a");
  CLI::App* command = dkim->add_subcommand("keygen", "Make a key and print its DNS record");
  command->footer(
      "The key is written with mode 0600, never over a file that is there. The record comes as a\n"
      "line of a zone file. Not every verifier knows Ed25519: sign with an RSA key, too.\n"
      "Example: sluice dkim keygen --domain example.com --selector s2026a "
      "--output /etc/sluice/s2026a.pem");
  const auto options = std::make_shared<KeygenOptions>();
  command->add_option("--domain,-d", options->domain, "The domain that signs")->required();
  command->add_option("--selector,-s", options->selector, "A name for this key, new for each one")
      ->required();
  command->add_option("--output,-o", options->output, "Else SELECTOR.DOMAIN.pem")
      ->type_name("FILE");
  CLI::Option* ed25519 = command->add_flag("--ed25519", options->ed25519, "Instead of RSA");
  command->add_option("--bits", options->bits, "Of an RSA key")
      ->check(CLI::IsMember({2048, 3072, 4096}))
      ->capture_default_str()
      ->excludes(ed25519);
  command->add_flag("--json", options->json, "Print JSON");
  command->callback([&context, options] {
    const auto done = keygen(*options, context.out);
    if (done) return;
    context.err << "sluice: " << done.error().detail << '\n';
    context.exit_code = kExitFailed;
  });
}

}  // namespace sluice::relay
