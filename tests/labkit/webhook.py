"""Whoever is on duty: writes each message that is posted to it as a line of a file. Runs on nothing but Python.

webhook.py PORT FILE
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path


class Receiver(BaseHTTPRequestHandler):
    """Takes every POST, and says by a GET that it is there."""

    file = Path()

    def do_GET(self) -> None:
        self._done()

    def do_POST(self) -> None:
        found = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.file.open("a") as log:
            log.write(json.dumps({"path": self.path, **found}) + "\n")
        self._done()

    def _done(self) -> None:
        self.send_response(200)
        self.end_headers()


if __name__ == "__main__":
    Receiver.file = Path(sys.argv[2])
    HTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver).serve_forever()
