import socket
import threading
from contextlib import suppress
from ipaddress import ip_address

import pytest

from skd_cluster.cli.main import main
from skd_cluster.cli.serving import is_here, may_serve
from skd_cluster.core.model import ExitCode

CONF = """\
$interface="lo";
$local_ip="192.0.2.1";
$remote_ip="192.0.2.2";
$password="secret";
$cluster_id="1";
$cluster_ip="203.0.113.10";
"""


def here(address):
    return True


@pytest.fixture
def conf(tmp_path):
    path = tmp_path / "cluster.conf"
    path.write_text(f'{CONF}$run_dir="{tmp_path}/run";\n')
    path.chmod(0o600)
    return path


@pytest.fixture
def enabled(tmp_path):
    link = tmp_path / "enabled"
    link.symlink_to("/nowhere")
    return link


@pytest.fixture
def service(tmp_path):
    """Answer as a service of this role does."""
    (tmp_path / "run").mkdir()
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(tmp_path / "run/control.sock"))
    listening.listen()
    threads = []

    def answer(role):
        def run():
            with suppress(OSError):  # nobody asked
                client, _ = listening.accept()
                with client:
                    client.recv(4096)
                    client.sendall(b'{"status": {"role": "%s"}}\n' % role.encode())

        threads.append(threading.Thread(target=run))
        threads[-1].start()

    yield answer
    listening.shutdown(socket.SHUT_RDWR)
    for thread in threads:
        thread.join()
    listening.close()


def test_without_a_cluster_the_product_runs_as_ever(tmp_path, conf):
    assert may_serve(tmp_path / "none.conf")[0]
    assert may_serve(conf, tmp_path / "not-enabled", here)[0]


def test_a_cluster_that_is_switched_off_is_none(conf, enabled):
    conf.write_text(f'{CONF}$enable_cluster="false";\n')
    assert may_serve(conf, enabled, here)[0]


@pytest.mark.parametrize(("role", "may"), [("master", True), ("backup", False), ("fault", False), ("standby", False)])
def test_in_a_pair_the_master_serves(conf, service, role, may):
    service(role)
    found, why = may_serve(conf, here=here)
    assert found is may
    assert role in why


def test_a_service_that_should_run_and_does_not_is_no_reason_to_raise_addresses(conf, enabled):
    may, why = may_serve(conf, enabled, here)
    assert not may
    assert "systemctl start skudonet-ce-cluster" in why
    conf.write_text("nonsense")
    assert not may_serve(conf, enabled, here)[0]


def test_the_verb_says_it_with_its_exit_code(tmp_path, capsys):
    assert main(["status", "--may-serve", "--config", str(tmp_path / "none.conf")]) == ExitCode.OK
    assert "no cluster here" in capsys.readouterr().out


@pytest.mark.parametrize("role", ["fault", "backup"])
def test_a_node_without_its_own_address_needs_the_product_for_it(conf, service, role):
    service(role)
    found, why = may_serve(conf, here=lambda _: False)
    assert found
    assert "192.0.2.1 is not on this host" in why


def test_what_is_here_is_what_the_kernel_has():
    assert is_here(ip_address("127.0.0.1"))
    assert not is_here(ip_address("192.0.2.1"))
