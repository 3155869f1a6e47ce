// How fast are the parsers that every byte of every message goes through?
//
// The budget for all of a message is some 50 microseconds; what is measured here should be a few.
#include <benchmark/benchmark.h>

#include <string>

#include "net/smtp/command.h"
#include "net/smtp/content_reader.h"
#include "net/smtp/dot_stuffing.h"
#include "net/smtp/reply.h"
#include "net/smtp/server_protocol.h"

namespace sluice::smtp {
namespace {

// A message of about that many bytes, in lines of 76, clean; each 16th line begins with a dot.
std::string message(size_t bytes) {
  std::string out =
      "Received: from app ([192.0.2.7]) by relay.example.com with ESMTP id 1; Tue, 24 Nov 2026\r\n"
      "From: <alice@example.com>\r\nTo: <bob@example.net>\r\nSubject: A message\r\n"
      "Date: Tue, 24 Nov 2026 08:00:00 +0000\r\nMessage-ID: <1@example.com>\r\n\r\n";
  for (size_t line = 0; out.size() < bytes; ++line) {
    out.append(line % 16 == 5 ? "." : "x").append(75, 'y').append("\r\n");
  }
  return out;
}

// The same as DATA carries it.
std::string dotted(size_t bytes) {
  std::string out = message(bytes);
  for (size_t at = 0; (at = out.find("\r\n.", at)) != std::string::npos; at += 4) {
    out.insert(at + 2, ".");
  }
  return out + ".\r\n";
}

class Discard final : public ContentSink {
 public:
  void onContent(std::string_view clean) override { bytes_ += clean.size(); }
  void onHeaderEnd(const ContentFindings&) override {}
  uint64_t bytes_ = 0;
};

void BM_MailCommand(benchmark::State& state) {
  const std::string argument = "FROM:<alice.longer-name@mail.example.com> SIZE=4096 BODY=8BITMIME";
  for (auto _ : state) {
    auto mail = parseMail(argument);
    benchmark::DoNotOptimize(mail);
  }
}
BENCHMARK(BM_MailCommand);

void BM_RcptCommand(benchmark::State& state) {
  const std::string argument = "TO:<bob@example.net> NOTIFY=FAILURE ORCPT=rfc822;bob@example.net";
  for (auto _ : state) {
    auto rcpt = parseRcpt(argument, false);
    benchmark::DoNotOptimize(rcpt);
  }
}
BENCHMARK(BM_RcptCommand);

void BM_Reply(benchmark::State& state) {
  const std::string reply = "250 2.0.0 Queued as 000sgg5kfxrqvg00000k7jx9fv\r\n";
  ReplyParser parser;
  for (auto _ : state) {
    std::string_view input = reply;
    auto parsed = parser.feed(input);
    benchmark::DoNotOptimize(parsed);
  }
}
BENCHMARK(BM_Reply);

void BM_ContentOffTheWire(benchmark::State& state) {
  const std::string wire = dotted(static_cast<size_t>(state.range(0)));
  for (auto _ : state) {
    Discard sink;
    ContentReader reader(ContentForm::Dotted, 1ull << 30, sink);
    std::string_view input = wire;
    if (!reader.feed(input)) state.SkipWithError("the content did not end");
    benchmark::DoNotOptimize(sink.bytes_);
  }
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(wire.size()));
}
BENCHMARK(BM_ContentOffTheWire)->Arg(1024)->Arg(4096)->Arg(100 * 1024)->Arg(1 << 20);

// Every line begins with a dot: the most expensive content.
void BM_ContentOfDots(benchmark::State& state) {
  std::string wire = "A: b\r\n\r\n";
  while (wire.size() < 100 * 1024) wire += "..\r\n";
  wire += ".\r\n";
  for (auto _ : state) {
    Discard sink;
    ContentReader reader(ContentForm::Dotted, 1ull << 30, sink);
    std::string_view input = wire;
    if (!reader.feed(input)) state.SkipWithError("the content did not end");
    benchmark::DoNotOptimize(sink.bytes_);
  }
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(wire.size()));
}
BENCHMARK(BM_ContentOfDots);

void BM_ContentToTheWire(benchmark::State& state) {
  const std::string bytes = message(static_cast<size_t>(state.range(0)));
  const BlockRef block = Block::copyOf(bytes);
  for (auto _ : state) {
    DotStuffer stuffer;
    size_t out = 0;
    struct Count {
      size_t& bytes;
      void operator()(const Slice& slice) const { bytes += slice.bytes.size(); }
      void operator()(std::string_view between) const { bytes += between.size(); }
    };
    stuffer.pass(Slice{block, block->view()}, Count{out});
    benchmark::DoNotOptimize(out);
  }
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(bytes.size()));
}
BENCHMARK(BM_ContentToTheWire)->Arg(4096)->Arg(100 * 1024);

// Answers everything with yes.
class Agreeable final : public ServerEvents {
 public:
  void onHello(std::string_view, bool) override {}
  void onMail(const MailCommand&) override { protocol->reply({250, {2, 1, 0}, "ok"}); }
  void onRcpt(const RcptCommand&) override { protocol->reply({250, {2, 1, 5}, "ok"}); }
  void onContentBegin() override {}
  void onContentDropped() override {}
  void onContentEnd(uint64_t ticket, const ContentFindings&) override {
    ++messages;
    protocol->replyToContent(ticket, {250, {2, 0, 0}, "Queued as 000sgg5kfxrqvg00000k7jx9fv"});
  }
  void onTransactionEnd() override {}
  void onRefused(Verb, std::string_view, const ServerReply&) override {}
  void onContent(std::string_view) override {}
  void onHeaderEnd(const ContentFindings&) override {}
  ServerProtocol* protocol = nullptr;
  int64_t messages = 0;
};

// A whole transaction as it comes from a client that pipelines.
void BM_ServerTransaction(benchmark::State& state) {
  ServerSettings settings;
  settings.hostname = "relay.example.com";
  Agreeable events;
  ServerProtocol protocol(settings, events);
  events.protocol = &protocol;
  protocol.greet();
  protocol.outputTaken();
  protocol.feed("EHLO client.example.com\r\n");
  protocol.outputTaken();
  const std::string group =
      "MAIL FROM:<alice@example.com> SIZE=4096\r\nRCPT TO:<bob@example.net>\r\nDATA\r\n";
  const std::string content = dotted(static_cast<size_t>(state.range(0)));
  for (auto _ : state) {
    protocol.feed(group);
    protocol.outputTaken();
    protocol.feed(content);
    protocol.outputTaken();
  }
  if (events.messages != state.iterations()) state.SkipWithError("a message was not taken");
  state.SetItemsProcessed(events.messages);
}
BENCHMARK(BM_ServerTransaction)->Arg(1024)->Arg(4096)->Arg(100 * 1024);

}  // namespace
}  // namespace sluice::smtp

BENCHMARK_MAIN();
