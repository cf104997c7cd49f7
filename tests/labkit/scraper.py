"""Clients of the metrics, good and bad, as a program of its own: it runs on a machine of the lab, on nothing but Python.

scraper.py ADDRESS PORT scrape RATE SECONDS    prints the milliseconds each took, one a line; -1 for one not answered
scraper.py ADDRESS PORT attack COUNT           holds COUNT connections open, for ever; says "ready" once they are there
"""

import contextlib
import select
import socket
import sys
import threading
import time

REQUEST = b"GET /metrics HTTP/1.1\r\nHost: lb\r\n\r\n"
END = b"skd_cluster_log_lines_dropped_total"
PATIENCE = 10.0


def scrape(place: tuple[str, int]) -> float:
    """Return how many milliseconds a whole scrape took, -1 if it was not answered whole."""
    began = time.monotonic()
    try:
        with socket.create_connection(place, timeout=PATIENCE) as client:
            client.sendall(REQUEST)
            text = b"".join(iter(lambda: client.recv(65536), b""))
    except OSError:
        return -1.0
    return (time.monotonic() - began) * 1000 if END in text else -1.0


def steadily(place: tuple[str, int], rate: float, seconds: float) -> None:
    """Scrape at a steady rate, one after the other."""
    began = time.monotonic()
    for number in range(round(rate * seconds)):
        ahead = began + number / rate - time.monotonic()
        if ahead > 0:
            select.select([], [], [], ahead)
        print(f"{scrape(place):.3f}", flush=True)


def silent(place: tuple[str, int], count: int) -> None:
    """Hold connections open that say half a request, and replace those that were hung up on."""
    held: list[socket.socket] = []
    told = False
    while True:
        with contextlib.suppress(OSError):
            while len(held) < count:
                client = socket.create_connection(place, timeout=PATIENCE)
                client.sendall(REQUEST[: len(held) % 20])
                held.append(client)
        if not told:
            print("ready", flush=True)
            told = True
        select.select([], [], [], 0.2)
        gone, _, _ = select.select(held, [], [], 0) if len(held) < 900 else ([], [], [])
        for one in gone:
            one.close()
            held.remove(one)


def endless(place: tuple[str, int]) -> None:
    """Send headers without end, again and again."""
    while True:
        with contextlib.suppress(OSError), socket.create_connection(place, timeout=PATIENCE) as client:
            client.sendall(REQUEST[:-2])
            while True:
                client.sendall(b"X-More: " + b"x" * 1000 + b"\r\n")


def main() -> None:
    """Do what the command line says."""
    address, port, what, *numbers = sys.argv[1:]
    place = (address, int(port))
    if what == "scrape":
        steadily(place, float(numbers[0]), float(numbers[1]))
        return
    threading.Thread(target=endless, args=(place,), daemon=True).start()
    silent(place, int(numbers[0]))


if __name__ == "__main__":
    main()
