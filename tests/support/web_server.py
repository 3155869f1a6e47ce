"""An HTTPS server for tests: answers as a test says, records what was asked.

    with WebServer(authority.issue("web.test")) as web:
        web.answer = lambda asked: (200, {"Content-Type": "text/plain"}, b"hello")
        ...
        assert web.asked[0].path == "/"

An answer may also be bytes, which are sent as they are; None: nothing is ever said. "Content-Length" is added.
"""
import collections
import http.server
import socket
import threading
import time

from support.waiting import wait_until

Asked = collections.namedtuple("Asked", "method path headers body time")


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    address_family = socket.AF_INET

    def handle_error(self, request, client_address):  # handshakes that fail are part of the story
        pass


class WebServer:
    def __init__(self, certificate, address="127.0.0.1", port=0):
        self.asked = []
        self.answer = lambda asked: (200, {}, b"")
        self.connections = 0
        self._stopping = threading.Event()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 60

            def setup(self):
                outer.connections += 1
                super().setup()

            def log_message(self, *_):
                pass

            def _serve(self):
                length = int(self.headers.get("Content-Length") or 0)
                asked = Asked(self.command, self.path, dict(self.headers), self.rfile.read(length), time.monotonic())
                outer.asked.append(asked)
                answer = outer.answer(asked)
                self.close_connection = True
                if answer is None:
                    outer._stopping.wait()
                elif isinstance(answer, bytes):
                    self.wfile.write(answer)
                else:
                    status, headers, body = answer
                    self.send_response(status)
                    for name, value in ({"Content-Length": str(len(body))} | headers).items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(body)

            do_GET = do_POST = _serve

        self._server = _Server((address, port), Handler)
        self._server.socket = certificate.server_context().wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.address, self.port = self._server.server_address[:2]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def url(self):
        return f"https://{self.address}:{self.port}"

    def wait_asked(self, count, timeout=10.0):
        wait_until(lambda: len(self.asked) >= count, timeout,
                   lambda: f"{count} requests; there were {self.asked}")
        return self.asked[:count]

    def close(self):
        self._stopping.set()
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
