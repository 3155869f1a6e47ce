// A connection as sessions see it: bytes in, bytes out, back-pressure; plain TCP or TLS below.
//
// On its loop's thread only. A stream calls its handler, never destroys itself, and calls nothing
// after close() or its destructor.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "net/base/bytes.h"
#include "net/base/ip_address.h"
#include "net/base/result.h"

namespace sluice::net {

class Stream {
 public:
  class Handler {
   public:
    virtual ~Handler() = default;
    // Bytes came; they are valid during the call only.
    virtual void onRead(std::string_view bytes) = 0;
    // The stream ended: Closed (the peer's FIN), Reset, Io. Nothing comes after it.
    virtual void onEnd(const Error& why) = 0;
    // The peer will send no more, but may still read. True keeps the stream for writing: nothing
    // is read any more, and onEnd() comes only if a write fails. False: onEnd(Closed) follows.
    virtual bool onPeerFinished() { return false; }
    // unsentBytes() is below the low-water mark again. Told from the loop only: a flush() that the
    // kernel takes whole says so by unsentBytes() alone.
    virtual void onDrained() {}
  };

  virtual ~Stream() = default;
  virtual void setHandler(Handler* handler) = 0;
  // Queue bytes; they leave at flush() (the loop's turn end flushes nothing by itself).
  virtual void write(std::string_view bytes) = 0;  // copied
  virtual void write(Slice slice) = 0;             // shared
  virtual void flush() = 0;
  virtual size_t unsentBytes() const = 0;  // queued here, not yet taken by the kernel
  virtual void pauseReading() = 0;
  virtual void resumeReading() = 0;
  // Sends what is queued (bounded by a few seconds), then FIN and close. The handler hears no more.
  virtual void finish() = 0;
  // Closes at once; unsent bytes are dropped. The handler hears no more.
  virtual void close() = 0;
  // Whether bytes wait that were not read yet.
  virtual bool inputWaits() const = 0;
  virtual Endpoint peer() const = 0;
  virtual Endpoint local() const = 0;
};

}  // namespace sluice::net
