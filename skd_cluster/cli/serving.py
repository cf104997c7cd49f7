"""Whether the load balancer may run on this node now, as systemd asks before it starts `skudonet.service`."""

from collections.abc import Callable
from pathlib import Path

from skd_cluster.adapters.control import NotRunning, request
from skd_cluster.adapters.netlink import open_netlink
from skd_cluster.config.load import load
from skd_cluster.core.model import IPAddress

_PATIENCE = 5.0

_ENABLED = Path("/etc/systemd/system/multi-user.target.wants/skudonet-ce-cluster.service")


def is_here(address: IPAddress) -> bool:
    """Whether this host has the address. Raises OSError."""
    netlink = open_netlink()
    try:
        return any(seen.address == address for seen in netlink.addresses())
    finally:
        netlink.close()


def may_serve(path: Path, enabled: Path = _ENABLED, here: Callable[[IPAddress], bool] = is_here) -> tuple[bool, str]:
    """Return whether it may, and why in a sentence.

    Without a cluster it always may. In one it may on the master only: the product raises every floating address, and on
    another node those are the peer's. A cluster that is to run here and does not is no reason to raise them either.

    But the product also raises the NICs, on an appliance nothing else does: it left only `lo` in /etc/network/interfaces. A
    node that it has not started on since its boot has no network, so there it has to; the guard removes what floats, and the
    down hook ends the farms.
    """
    if not path.exists():
        return True, f"no cluster here: {path} is not there"
    loaded = load(path)
    if loaded.config is not None and not loaded.starts:
        return True, f'the cluster is switched off: enable_cluster="false" in {path}'
    if loaded.config is not None and not here(loaded.config.local_ip):
        return (
            True,
            f"local_ip {loaded.config.local_ip} is not on this host yet: the load balancer raises the interfaces",
        )
    run_dir = Path("/run/skd-cluster") if loaded.config is None else loaded.config.run_dir
    try:
        role = str(request(run_dir, {"verb": "status"}, _PATIENCE)["status"]["role"])
    except (NotRunning, OSError):
        if enabled.is_symlink():
            return False, "the cluster service is enabled and does not run: systemctl start skudonet-ce-cluster"
        return True, "no cluster here: skudonet-ce-cluster.service is neither running nor enabled"
    if role == "master":
        return True, "this node is master"
    return False, f"this node is {role}: the load balancer is started when it becomes master"
