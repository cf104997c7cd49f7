"""Rules of `skd-cluster doctor` about links, addresses, routes, firewalls, and who else manages them."""

from collections.abc import Iterator
from ipaddress import ip_interface

from skd_cluster.core.diagnosis import NodeRule, PairRule, Verdict, beside, ok, problem, warning
from skd_cluster.core.diagnosis_facts import NodeFacts

_SERVICE = "skudonet-ce-cluster"


def _interface(node: NodeFacts) -> Iterator[Verdict]:
    for name in dict.fromkeys((node.interface, *node.tracked)):
        up, carrier, _ = node.links.get(name, (None, None, ""))
        if up is None:
            known = " ".join(sorted(node.links)) or "none"
            yield problem(f"{name} does not exist; there are {known}", f"skd-cluster check --config {node.config}")
        elif not up:
            yield problem(f"{name} is down", f"ip link set {name} up")
        elif not carrier:
            yield problem(f"{name} has no carrier", f"plug in the cable of {name}, then: ip link show {name}")
        else:
            yield ok(f"{name} is up with a carrier")


def _local_address(node: NodeFacts) -> Iterator[Verdict]:
    places = [one[2] for one in node.addresses if one[0] == node.local_ip]
    if not places:
        beside_it = next((one[1] for one in node.addresses if one[2] == node.interface), 24)
        remedy = f"ip address add {node.local_ip}/{beside_it} dev {node.interface}"
        yield problem(f"local_ip {node.local_ip} is not on this host", remedy)
    elif node.interface not in places:
        where = " ".join(map(str, places))
        remedy = f"ip address show to {node.local_ip}, then edit $interface in {node.config}"
        yield warning(f"local_ip {node.local_ip} is on {where}, not on interface {node.interface}", remedy)
    elif found := node.answers.get(node.local_ip):
        who = " ".join(found)
        remedy = f"ip neigh; give that machine another address: {who}"
        yield problem(f"local_ip {node.local_ip} is also answered for by {who}", remedy)
    else:
        yield ok(f"{node.local_ip} is on {node.interface}")


def _floating_addresses(ours: NodeFacts, theirs: NodeFacts) -> Iterator[Verdict]:
    macs = {str(link[2]) for node in (ours, theirs) for link in node.links.values()}
    masters = [node for node in (ours, theirs) if node.status.get("role") == "master"]
    for address in dict.fromkeys(str(one[0]) for node in (ours, theirs) for one in node.floating):
        holders = [node for node in (ours, theirs) if any(one[0] == address for one in node.addresses)]
        strangers = sorted({mac for node in (ours, theirs) for mac in node.answers.get(address, [])} - macs)
        if strangers:
            yield problem(
                f"{address} is answered for by {' '.join(strangers)}, which is neither node",
                f"find and mend that machine: ip neigh; arping -D -c 2 -I {ours.interface} {address}",
            )
        elif len(holders) > 1 and len(masters) > 1:
            words = f"{address} is on both nodes, since both are master"
            yield problem(words, "skd-cluster standby", holders[-1].node)
        elif len(holders) > 1:
            wrong = next((node for node in holders if node not in masters), holders[-1])
            where = next(one for one in wrong.addresses if one[0] == address)
            remedy = f"ip address del {address}/{where[1]} dev {where[2]}"
            yield problem(f"{address} is on both nodes", remedy, wrong.node)
        elif not holders and masters:
            remedy = f"systemctl restart {_SERVICE}"
            yield problem(f"{address} is on neither node", remedy, masters[0].node)
        elif holders and masters and holders[0] not in masters:
            where = next(one for one in holders[0].addresses if one[0] == address)
            remedy = f"ip address del {address}/{where[1]} dev {where[2]}"
            yield problem(f"{address} is on {holders[0].node}, which is not master", remedy, holders[0].node)
        elif holders:
            yield ok(f"{address} is on {holders[0].node} alone")
        else:
            yield beside(f"{address} is on neither node: no service is master")


def _floating_interfaces(node: NodeFacts) -> Iterator[Verdict]:
    missing = [one for one in node.floating if one[2] not in node.links]
    for address, _, interface in missing:
        remedy = f"ip link show; write {address}@IFACE into $cluster_ip of {node.config}, or give the NIC that name"
        yield problem(f"{address} lives on {interface}, which this node has not", remedy)
    if not missing:
        yield ok(f"{len(node.floating)} floating addresses, each on an interface that is here")


def _kernel(node: NodeFacts) -> Iterator[Verdict]:
    found = list(_secondaries(node))
    name = node.interface
    if max(node.sysctl.get("arp_ignore.all", "0"), node.sysctl.get("arp_ignore", "0")) == "8":
        remedy = f"sysctl -w net.ipv4.conf.all.arp_ignore=0 net.ipv4.conf.{name}.arp_ignore=0"
        found.append(problem("arp_ignore is 8: nobody learns where a floating address lives", remedy))
    if any(":" in str(one[0]) for one in node.floating) and node.sysctl.get("disable_ipv6") == "1":
        remedy = f"sysctl -w net.ipv6.conf.{name}.disable_ipv6=0"
        found.append(problem(f"a floating address is of IPv6, which is switched off on {name}", remedy))
    strict = "1" in (node.sysctl.get("rp_filter.all"), node.sysctl.get("rp_filter"))
    loose = "2" in (node.sysctl.get("rp_filter.all"), node.sysctl.get("rp_filter"))
    if node.route and node.route != name and strict and not loose:
        remedy = f"sysctl -w net.ipv4.conf.{name}.rp_filter=2"
        words = f"rp_filter is strict on {name}, and the way back to the peer is {node.route}: its packets are dropped"
        found.append(problem(words, remedy))
    yield from found or [ok("nothing in the kernel's settings is in the way")]


def _secondaries(node: NodeFacts) -> Iterator[Verdict]:
    own = next((one for one in node.addresses if one[0] == node.local_ip), None)
    promotes = "1" in (node.sysctl.get("promote_secondaries.all"), node.sysctl.get("promote_secondaries"))
    if own is None or promotes or not own[3]:
        return
    net = ip_interface(f"{own[0]}/{own[1]}").network
    floating = {one[0] for one in node.floating}
    first = next((one[0] for one in node.addresses if one[0] in floating and ip_interface(one[0]).ip in net), None)
    if first is not None:
        remedy = "sysctl -w net.ipv4.conf.all.promote_secondaries=1"
        words = f"{node.local_ip} is secondary to {first}: the kernel removes it together with that floating address"
        yield problem(words, remedy)


def _managers(node: NodeFacts) -> Iterator[Verdict]:
    found = []
    used = {node.interface, *(str(one[2]) for one in node.floating)}
    for name, (file, keeps) in node.networkd.items():
        if name in used and keeps not in ("static", "yes", "true"):
            drop_in = f"/etc/systemd/network/{file.rpartition('/')[2]}.d"
            remedy = (
                f"mkdir -p {drop_in} && printf '[Network]\\nKeepConfiguration=static\\n' > {drop_in}/skd-cluster.conf "
                "&& networkctl reload"
            )
            words = f"a restart of systemd-networkd removes foreign addresses of {name}"
            found.append(warning(f"{words}; so does what mends it, once: not while this node is master", remedy))
    if node.networkd and node.networkd_rules not in ("no", "false"):
        remedy = (
            "mkdir -p /etc/systemd/networkd.conf.d && printf '[Network]\\nManageForeignRoutingPolicyRules=no\\n"
            "ManageForeignRoutes=no\\n' > /etc/systemd/networkd.conf.d/skd-cluster.conf && systemctl restart systemd-networkd"
        )
        found.append(warning("a restart of systemd-networkd removes the product's routing rules", remedy))
    for name in node.network_manager:
        if name in used:
            remedy = (
                f"printf '[keyfile]\\nunmanaged-devices=interface-name:{name}\\n' > "
                f"/etc/NetworkManager/conf.d/skd-cluster-{name}.conf && nmcli general reload"
            )
            found.append(warning(f"NetworkManager manages {name}: it removes foreign addresses of it", remedy))
    for name in node.dhcp:
        if name in used:
            remedy = f"give {name} a fixed address in /etc/network/interfaces: a new lease removes the old addresses"
            found.append(warning(f"a DHCP client runs on {name}", remedy))
    if node.cloud_init:
        remedy = "echo 'network: {config: disabled}' > /etc/cloud/cloud.cfg.d/99-skd-cluster.cfg"
        found.append(warning("cloud-init writes the network's configuration anew at each boot", remedy))
    yield from found or [ok("nobody else is known to remove addresses")]


def _firewall(node: NodeFacts) -> Iterator[Verdict]:
    port = node.setting("udp_port") or "10112"
    for family, table, chain, what in node.blocked:
        sender = "ip6 saddr" if ":" in node.remote_ip else "ip saddr"
        rule = f"{sender} {node.remote_ip} udp dport {port} accept"
        words = f"{what} in {family} {table} {chain} drops UDP port {port} of the peer"
        yield problem(words, f"nft insert rule {family} {table} {chain} {rule}")
    if not node.blocked:
        yield ok(f"no rule of nftables drops UDP port {port} of the peer")


def _in_standard(node: NodeFacts, speaks: str, *, alive: bool) -> Verdict:
    """Judge what a standard lets a node know of a peer that says no more."""
    if alive:
        return ok(f"{node.remote_ip} is heard, speaks {speaks}, and no native packets")
    if node.status.get("role") == "master":
        return beside(f"a backup that speaks {speaks} is silent")
    words = f"nothing of {node.remote_ip} is heard, neither {speaks} nor native packets: service down there, firewall, or cable"
    return problem(words, f"tcpdump -ni {node.interface} ip proto 112 or ip6 proto 112; nft list ruleset")


def _heartbeat(node: NodeFacts) -> Iterator[Verdict]:
    if not node.status:
        yield beside("the service does not answer")
        return
    peer, counters = node.status.get("peer", {}), node.status.get("counters", {})
    port = node.setting("udp_port") or "10112"
    listen = f"tcpdump -ni {node.interface} udp port {port}"
    speaks = node.status.get("transport", {}).get("speaks", "udp")
    if speaks != "udp" and not peer.get("native"):
        yield _in_standard(node, speaks, alive=bool(peer.get("alive")))
        return
    if not peer.get("alive"):
        sent, bad = counters.get("sent", 0), counters.get("dropped.bad_key", 0)
        words = f"{sent} packets sent, and none of {node.remote_ip} is heard: service down there, firewall, or cable"
        if bad:  # since the start: that may be over, and something else the matter now; `mirror` compares the passwords
            words += f", or its password: {bad} packets since the start had another one"
        yield problem(words, f"{listen}; nft list ruleset")
    elif not peer.get("heard"):
        yield problem(f"{node.remote_ip} is heard and does not hear this node", f"{listen}; nft list ruleset", "")
    else:
        deaf = [str(link["name"]) for link in peer.get("links", []) if not link["alive"]]
        for name in deaf:
            yield warning(
                f"the peer is not heard by way of {name}", f"skd-cluster status --json --config {node.config}"
            )
        if not deaf:
            yield ok("both nodes hear each other")


def _multicast(node: NodeFacts) -> Iterator[Verdict]:
    if not node.group:
        yield beside("udp_mode is unicast")
    elif node.status and node.group not in node.joined:
        remedy = f"ip maddress show dev {node.interface}; systemctl restart {_SERVICE}"
        yield problem(f"the service runs, and the kernel is not in the group {node.group} on {node.interface}", remedy)
    else:
        yield ok(f"group {node.group} on {node.interface}")


RULES = (
    NodeRule("interface", "`interface` and `track_interfaces` exist, are up and have a carrier.", _interface),
    NodeRule("local-address", "`local_ip` is on `interface`, and no other machine answers for it.", _local_address),
    PairRule(
        "floating-addresses",
        "Each floating address is on exactly one node, the master, and no third machine answers for it (ARP probe, RFC 5227).",
        _floating_addresses,
    ),
    NodeRule("floating-interfaces", "The interfaces on which floating addresses live are on this node too.", _floating_interfaces),
    NodeRule(
        "kernel",
        "Settings that matter: `arp_ignore` 8 (mute), IPv6 switched off, strict `rp_filter` where the peer is reached by another "
        "interface, and `promote_secondaries` 0 where `local_ip` would be removed with a floating address. Not looked at, since "
        "nothing here depends on them: `arp_announce` (the service announces by itself) and `ip_nonlocal_bind` (the product runs "
        "on the master only).",
        _kernel,
    ),
    NodeRule(
        "managers",
        "systemd-networkd without `KeepConfiguration`, NetworkManager, a DHCP client, cloud-init: each removes addresses or rules "
        "that it did not add. The service adds its addresses again at once; better they stay.",
        _managers,
    ),
    NodeRule("firewall", "A rule or policy of nftables on the way in that drops the packets of the election.", _firewall),
    NodeRule("heartbeat", "Both services hear each other, on every link.", _heartbeat),
    NodeRule("multicast", 'With `udp_mode="multicast"` the kernel is in the group.', _multicast),
)  # fmt: skip
