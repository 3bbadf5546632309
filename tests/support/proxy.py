"""A small TCP proxy whose connections can be delayed, cut, or left half-open."""

import contextlib
import socket
import threading
import time

from muster.dev.broker import free_port


class Proxy:
    """Forwards loopback connections to a port. `delay_seconds` holds each piece back; `silent` swallows what is sent."""

    def __init__(self, target: int) -> None:
        self.target, self.port = target, free_port()
        self.delay_seconds = 0.0
        self.silent = False
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._listener = socket.create_server(("127.0.0.1", self.port), backlog=50)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                ours, _ = self._listener.accept()
                theirs = socket.create_connection(("127.0.0.1", self.target), timeout=5)
            except OSError:
                if self._listener.fileno() < 0:
                    return
                ours.close()
                continue
            theirs.settimeout(None)
            self._pairs.append((ours, theirs))
            for source, sink in ((ours, theirs), (theirs, ours)):
                threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(65_536):
                if self.delay_seconds:
                    time.sleep(self.delay_seconds)
                while self.silent:
                    time.sleep(0.05)
                sink.sendall(piece)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def cut(self) -> int:
        """Cut every connection; return how many there were."""
        pairs, self._pairs = self._pairs, []
        for ours, theirs in pairs:
            for end in (ours, theirs):
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
                    end.close()
        return len(pairs)

    def close(self) -> None:
        self._listener.close()
        self.silent = False
        self.cut()
