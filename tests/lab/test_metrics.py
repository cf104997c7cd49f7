"""The metrics on a running pair: clients that mean no good, protection that is put on while it runs, and the file."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import bcrypt
import pytest

from tests.labkit import Client, Lab, Machine, Node, eventually, scraper
from tests.labkit.machine import SYSTEM_PYTHON

PORT = 9869
BASE = {"floating": "listed", "advert_interval": "0.1"}
HASH = bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()


@pytest.fixture
def pair(lb1: Node, lb2: Node) -> Iterator[tuple[Node, Node]]:
    for node in (lb1, lb2):
        node.write_config(**BASE)
    lb1.add_address()
    for node, role in ((lb1, "master"), (lb2, "backup")):
        node.start_daemon()
        eventually(lambda node=node, role=role: node.role() == role, within=5, what="roles")
    eventually(lambda: lb1.status()["peer"]["heard"] and lb2.status()["peer"]["heard"], within=5, what="both heard")
    since = [node.status()["since"] for node in (lb1, lb2)]
    yield lb1, lb2
    assert (lb1.role(), lb2.role()) == ("master", "backup")
    for node, before in zip((lb1, lb2), since, strict=True):
        assert abs(node.status()["since"] - before) < 0.5  # wall time is computed anew for each answer
        assert "Traceback" not in node.output()


def scraped(machine: Machine, node: Node, rate: int, seconds: int) -> list[float]:
    """Scrape a node from another machine; the milliseconds of each, -1 for one that was not answered."""
    command = [SYSTEM_PYTHON, scraper.__file__, node.address, str(PORT), "scrape", str(rate), str(seconds)]
    return [float(line) for line in machine.run(command, timeout=120).stdout.splitlines()]


def test_a_thousand_connections_and_endless_headers_keep_nobody_from_an_answer(
    pair: tuple[Node, Node], lab: Lab, client: Client
) -> None:
    master, other = pair
    attack = f"ulimit -n 4096; exec {SYSTEM_PYTHON} {scraper.__file__} {master.address} {PORT} attack 1000"
    attacker = client.popen(attack, output="/var/log/attack")
    with client.probe("10.77.0.100") as prober:
        prober.wait_answer()
        eventually(lambda: "ready" in client.path("/var/log/attack").read_text(), within=20, what="a thousand are open")
        took = scraped(other, master, 20, 5)
        assert len(took) == 100
        assert min(took) > 0, "each was answered"
        process = Path(f"/proc/{master.daemon_pids()['skd-cluster']}")
        threads = next(line for line in (process / "status").read_text().splitlines() if line.startswith("Threads:"))
        assert int(threads.split()[1]) < 150
        assert len(list((process / "fd").iterdir())) < 200
        assert prober.longest_gap().lost < 100
    assert attacker.alive
    attacker.kill()
    assert min(scraped(client, master, 20, 1)) > 0


def curl(machine: Machine, *words: str) -> str:
    """Return the HTTP status, 000 for none."""
    command = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", *words]
    return machine.run(command, check=False).stdout


def test_protection_is_put_on_while_it_runs_and_new_certificates_need_no_reload(pair: tuple[Node, Node]) -> None:
    master, other = pair
    plain, url = f"http://{master.address}:{PORT}/metrics", f"https://{master.address}:{PORT}/metrics"
    assert curl(other, plain) == "200"
    tls = "tls_server_config:\n  cert_file: skd.pem\n  key_file: skd.key\n"
    web = master.write("/etc/skd/web.yml", f"{tls}basic_auth_users:\n  prom: {HASH}\n", 0o600)
    master.run(
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=first -keyout /etc/skd/skd.key -out /etc/skd/skd.pem"
    )
    master.write_config(**BASE, metrics_web_config="/etc/skd/web.yml")
    os.kill(master.daemon_pids()["skd-cluster"], signal.SIGHUP)
    eventually(lambda: curl(other, "-k", "-u", "prom:secret", url) == "200", within=5, what="TLS with a password")
    assert curl(other, "-k", url) == "401"
    assert curl(other, "-k", "-u", "prom:guess", url) == "401"
    assert curl(other, plain) == "000"

    web.write_text(f"{tls}basic_auth_users:\n  prom: not a hash\n")
    eventually(lambda: "'prom': expected a bcrypt hash" in " ".join(master.status()["problems"]), within=15)
    assert curl(other, "-k", "-u", "prom:secret", url) == "200"
    assert curl(other, "-k", "-u", "prom:not a hash", url) == "401"
    web.write_text(f"{tls}basic_auth_users:\n  prom: {HASH}\n")
    eventually(lambda: "metrics:" not in " ".join(master.status()["problems"]), within=15, what="it is mended")

    master.run(
        "cd /etc/skd && openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=second -keyout new.key -out new.pem"
        " && mv new.key skd.key && mv new.pem skd.pem"
    )
    shown = f"openssl s_client -connect {master.address}:{PORT} </dev/null 2>/dev/null | openssl x509 -noout -subject"
    eventually(lambda: "second" in other.run(shown, check=False).stdout, within=15, what="the new certificate")


def test_the_file_has_what_the_port_has(pair: tuple[Node, Node]) -> None:
    master, _ = pair
    path = "/var/lib/prometheus/node-exporter/skd-cluster.prom"
    master.run("mkdir -p /var/lib/prometheus/node-exporter")
    master.write_config(**BASE, metrics_textfile=path)
    os.kill(master.daemon_pids()["skd-cluster"], signal.SIGHUP)
    file = master.path(path)
    eventually(lambda: file.exists() and 'role{role="master"} 1.0' in file.read_text(), within=5, what="it is written")
    served = master.run(["curl", "-fsS", f"http://{master.address}:{PORT}/metrics"]).stdout
    names = [{line.partition(" ")[0] for line in text.splitlines()} for text in (served, file.read_text())]
    assert names[0] == names[1]
    master.write_config(**BASE)
    os.kill(master.daemon_pids()["skd-cluster"], signal.SIGHUP)
    eventually(lambda: not file.exists(), within=5, what="it is taken away")
