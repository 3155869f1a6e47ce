#include "net/tcp_stream.h"

#include <gtest/gtest.h>

#include <sys/socket.h>
#include <unistd.h>

#include <string>

#include "net/listener.h"

namespace sluice::net {
namespace {

struct Recorder : Stream::Handler {
  std::string bytes;
  std::optional<Errc> end;
  Task on_change;
  Task on_drained;
  bool peer_finished = false;
  bool keeps_writing = false;
  void onRead(std::string_view more) override {
    bytes.append(more);
    if (on_change) on_change();
  }
  void onEnd(const Error& why) override {
    end = why.code;
    if (on_change) on_change();
  }
  bool onPeerFinished() override {
    peer_finished = true;
    if (on_change) on_change();
    return keeps_writing;
  }
  void onDrained() override {
    if (on_drained) on_drained();
  }
};

// The socket whose local end is that of `stream`.
int fdOf(const TcpStream& stream) {
  for (int fd = 3; fd < 256; ++fd) {
    if (localEndpoint(fd) == stream.local()) {
      sockaddr_storage peer{};
      socklen_t length = sizeof peer;
      if (getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &length) == 0) return fd;
    }
  }
  return -1;
}

struct OverTcp : testing::Test {
  std::unique_ptr<Loop> loop = std::move(*Loop::create());
  Recorder near, far;
  std::unique_ptr<TcpStream> client, server;
  std::unique_ptr<TcpConnector> connector;
  std::unique_ptr<Listener> listener;
  Deadline limit{[this] {
    ADD_FAILURE() << "nothing happened in time";
    loop->stop();
  }};

  void SetUp() override {
    const int socket = *bindListener(*Endpoint::parse("127.0.0.1:0"));
    listener =
        std::move(*Listener::create(*loop, socket, [this](std::unique_ptr<TcpStream> stream) {
          server = std::move(stream);
          server->setHandler(&far);
          if (client) loop->stop();
        }));
    connector = std::make_unique<TcpConnector>(*loop, listener->local(), std::nullopt,
                                               std::chrono::seconds(5),
                                               [this](Result<std::unique_ptr<TcpStream>> result) {
                                                 ASSERT_TRUE(result);
                                                 client = std::move(*result);
                                                 client->setHandler(&near);
                                                 if (server) loop->stop();
                                               });
    run();
  }
  void TearDown() override {
    client.reset();
    server.reset();
    listener.reset();
    connector.reset();
  }
  void run() {
    limit.arm(loop->deadlines(), std::chrono::seconds(10));
    loop->run();
    limit.cancel();
  }
};

TEST_F(OverTcp, CarriesBytesBothWaysInOrder) {
  client->write("MAIL ");
  const BlockRef block = Block::copyOf("FROM:<>\r\n");
  client->write(Slice{block, block->view()});
  client->flush();
  far.on_change = [&] {
    if (far.bytes.size() == 14) {
      server->write("250 ok\r\n");
      server->flush();
    }
  };
  near.on_change = [&] { loop->stop(); };
  run();
  EXPECT_EQ(far.bytes, "MAIL FROM:<>\r\n");
  EXPECT_EQ(near.bytes, "250 ok\r\n");
}

TEST_F(OverTcp, SendsMoreThanTheKernelTakesAtOnceAndTellsWhenDrained) {
  std::string expected;
  for (int i = 0; i < 3000; ++i) {
    const BlockRef block = Block::copyOf(std::string(5000, static_cast<char>('a' + i % 26)));
    expected.append(block->view());
    client->write(Slice{block, block->view()});
  }
  bool drained = false;
  near.on_drained = [&] { drained = true; };
  client->flush();
  EXPECT_GT(client->unsentBytes(), TcpStream::kLowWaterBytes);
  far.on_change = [&] {
    if (far.bytes.size() == expected.size()) loop->stop();
  };
  run();
  EXPECT_TRUE(far.bytes == expected);
  EXPECT_TRUE(drained);
  EXPECT_EQ(client->unsentBytes(), 0u);
}

TEST_F(OverTcp, FinishDeliversTheLastBytesAlthoughThePeerHasSentMore) {
  client->write(std::string(100'000, 'x'));  // never read by the server's side
  client->flush();
  server->pauseReading();
  server->write("421 4.3.2 going down\r\n");
  server->finish();
  server.reset();
  near.on_change = [&] {
    if (near.end) loop->stop();
  };
  run();
  EXPECT_EQ(near.bytes, "421 4.3.2 going down\r\n");
  EXPECT_EQ(near.end, Errc::Closed);
}

TEST_F(OverTcp, AnswersAPeerThatHasClosedItsSide) {
  far.keeps_writing = true;
  client->write("QUIT\r\n");
  client->flush();
  ASSERT_EQ(::shutdown(fdOf(*client), SHUT_WR), 0);
  far.on_change = [&] {
    if (far.peer_finished) loop->stop();
  };
  run();
  EXPECT_EQ(far.bytes, "QUIT\r\n");
  EXPECT_FALSE(far.end);
  std::string replies(400'000, 'x');  // more than the kernel takes at once
  server->write(replies);
  server->finish();
  near.on_change = [&] {
    if (near.end) loop->stop();
  };
  run();
  EXPECT_TRUE(near.bytes == replies) << near.bytes.size();
}

TEST_F(OverTcp, TellsOfInputThatWasNotReadYet) {
  server->pauseReading();
  EXPECT_FALSE(server->inputWaits());
  client->write("HELO early\r\n");
  client->flush();
  Deadline look([&] {
    if (server->inputWaits()) {
      loop->stop();
    } else {
      look.arm(loop->deadlines(), std::chrono::milliseconds(5));
    }
  });
  look.arm(loop->deadlines(), {});
  run();
  server->resumeReading();
  far.on_change = [&] { loop->stop(); };
  run();
  EXPECT_EQ(far.bytes, "HELO early\r\n");
}

TEST_F(OverTcp, PausedReadingLosesNothing) {
  server->pauseReading();
  client->write("later");
  client->flush();
  Deadline resume([&] {
    EXPECT_TRUE(far.bytes.empty());
    server->resumeReading();
  });
  resume.arm(loop->deadlines(), std::chrono::milliseconds(30));
  far.on_change = [&] { loop->stop(); };
  run();
  EXPECT_EQ(far.bytes, "later");
}

TEST_F(OverTcp, MayBeDestroyedFromItsOwnCallback) {
  far.on_change = [&] {
    server.reset();
    loop->stop();
  };
  client->write("x");
  client->flush();
  run();
  EXPECT_EQ(server, nullptr);
}

TEST(TcpConnector, TellsThatAConnectionIsRefused) {
  auto loop = std::move(*Loop::create());
  std::optional<Errc> error;
  const int socket = *bindListener(*Endpoint::parse("127.0.0.1:0"));  // bound, not listening
  sockaddr_storage name{};
  socklen_t length = sizeof name;
  getsockname(socket, reinterpret_cast<sockaddr*>(&name), &length);
  TcpConnector connector(*loop, Endpoint::from(reinterpret_cast<const sockaddr&>(name)),
                         std::nullopt, std::chrono::seconds(5),
                         [&](Result<std::unique_ptr<TcpStream>> result) {
                           error = result.error().code;
                           loop->stop();
                         });
  loop->run();
  ::close(socket);
  EXPECT_EQ(error, Errc::Refused);
}

TEST(Listener, TellsThatAPortIsTakenAlthoughItCouldBeShared) {
  auto loop = std::move(*Loop::create());
  const int socket = *bindListener(*Endpoint::parse("127.0.0.1:0"));
  auto listener = std::move(*Listener::create(*loop, socket, [](std::unique_ptr<TcpStream>) {}));
  EXPECT_TRUE(bindListener(listener->local()));
  EXPECT_EQ(probeListener(listener->local()).error().code, Errc::Exists);
}

}  // namespace
}  // namespace sluice::net
