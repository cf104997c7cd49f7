"""What `journalctl -x` says under a line: what it means, and what to do about it."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from skd_cluster.core.events import EVENTS, message_id
from skd_cluster.core.session import Refusal

_STATUS = "See `skd-cluster status`."
_LOG = "The journal around this line says why: journalctl -u skudonet-ce-cluster"

ADVICE: Mapping[str, str] = MappingProxyType(
    {
        "role_changed": """\
The line says which role this node has now and why. Nothing has to be done for a takeover itself; if it was not planned,
what happened to the other node is told by: skd-cluster why; and whether it is back by: skd-cluster status
All changes so far: journalctl -u skudonet-ce-cluster SKD_EVENT=role_changed""",
        "started": "The service runs and will decide on a role within the dead interval.",
        "stopped": """\
The service has ended, its addresses are gone, and the peer was told. If nobody stopped it, the line says why, and systemd
starts it again within a second.""",
        "crashed": """\
The service died or was killed, or hung until systemd's watchdog ended it. The lines before this one, with the priority "err", and
`systemctl status skudonet-ce-cluster` say more; a kernel that ran out of memory says so in `journalctl -k`.""",
        "restarting": """\
The service is restarted by systemd, as an upgrade does. The floating addresses stay for four seconds, the peer waits five, and
whoever is there then is master: normally this node again, after about one second. Nothing to do.""",
        "restart_refused": """\
The service is restarted, and its peer did not say in time that it waits, so it was asked to take over instead. If the peer runs,
packets are lost between the nodes: skd-cluster doctor.""",
        "disabled": """\
$enable_cluster="false"; is in the configuration file. To switch the cluster on, set it to "true", then:
systemctl start skudonet-ce-cluster""",
        "config_problem": """\
The line names the file, the line and the key, what was found and what is expected. Errors keep the service from starting;
warnings and notes do not. All of them at once: skd-cluster check""",
        "config_refused": """\
Mend what the lines before name, and see whether all is well: skd-cluster check
Then: systemctl start skudonet-ce-cluster, or reload if it runs: until then it goes on with the configuration it has.""",
        "config_reloaded": """\
What can change while the service runs is in force. What the line says to need a restart is not yet:
systemctl restart skudonet-ce-cluster, on the backup first; on the master it is a failover.""",
        "elector_lost": """\
The addresses were taken away at once and the peer takes over; systemd starts the service again. This should not happen:
if it does more than once, the lines before it are worth a report.""",
        "elector_silent": """\
The real-time process of this node does not get to run: the host is overloaded or was paused. The kernel takes the
addresses away when it lasts longer than vip_lease. Look for what uses the processors: top, vmstat 1""",
        "elector_back": "The host runs it again. The addresses are announced anew if this node is still master.",
        "child_started": "The replicator runs while this node is master.",
        "child_died": """\
The replicator is started again, with growing pauses. No role changes, but changes do not reach the peer meanwhile.
"""
        + _LOG,
        "hook_started": "A program of the administrator runs; its output follows as hook_output.",
        "hook_output": "Printed by a hook, not by this service.",
        "hook_ended": "The hook ended well, or had to end because the role changed again.",
        "hook_failed": """\
The addresses are where they should be: no hook can change that. But what the hook is to start or stop may not be. Its
output is above: journalctl -u skudonet-ce-cluster SKD_EVENT=hook_output
If it only takes long, raise $hook_timeout. Try it by hand with the arguments INTERFACE CLUSTER_IP.""",
        "hook_missing": "If there should be one, make it executable at the place the line names; otherwise all is well.",
        "check_failed": """\
After check_fall failures in a row a node is in fault and cannot be master. The line has the last thing the check printed;
run it by hand: it is in the folder checks_dir.""",
        "check_recovered": "The node may be master again, but does not take mastership back by itself unless preempt is set.",
        "floating_changed": "A virtual interface was added, removed, or switched on or off in the product. All floating "
        "addresses: skd-cluster status",
        "floating_problem": """\
The address of that file does not move with the master until the file is right. Save the virtual interface again in the
web interface of the master, or remove the file if it is left over.""",
        "command": "Somebody with root on this node asked for it.",
        "applied": "Files were replaced by the master's. What they were before: skd-cluster history",
        "gate_refused": """\
Somebody logged in with the key that `skd-cluster pair` made and wanted something else than to replicate. If it was not you who
tried the key by hand, it is in wrong hands: skd-cluster pair --remove, find out how it left the other node, and pair again.""",
        "conflict": """\
Both nodes were changed while they did not see each other, or this backup was changed by hand. Nothing is lost: look at it
with skd-cluster history show NAME, put back what is needed with skd-cluster history restore NAME [PATH...] on the master,
or say that it is dealt with: skd-cluster history resolve NAME""",
        "metrics_unavailable": """\
The line says what: something else listens on that port (ss -ltnp says who; choose another one with $metrics_listen, or "off"), the
address is not on this host, $metrics_web_config or a certificate it names has an error, or $metrics_textfile cannot be
written. The service goes on, and tries again each ten seconds. A port whose protection was never read is not opened.""",
        "metrics_available": "Nothing has to be done.",
        "file_unwritable": """\
The line names the file and the reason: the disk is full, read-only, or does not answer. The role and the addresses do not
depend on it, but prompt, scripts and the next start do: df -h; mount
A place outside of what the unit may write has to be added to it: systemctl edit skudonet-ce-cluster, ReadWritePaths=""",
        "repeated": "The same kind of line came more than five times in ten seconds. The first ones are above.",
        "internal": "A mistake in this program, worth a report with the lines around it. It goes on.",
        "interval_refused": """\
Under load a node that promises more than its host keeps would lose mastership for nothing. Set $advert_interval to what
the line says, or give the machine more: processors that are not shared, real-time scheduling.""",
        "transport_changed": """\
Both nodes understand each other in what the line names. With the native packets a pair knows more of each other and takes over
sooner; a standard decides if both nodes are configured for it, or if the peer speaks nothing else. Nothing to do.""",
        "peer_version": """\
Neither node hears the other, so each is master on its own. Let keepalived speak version 3: vrrp_version 3 in its global_defs, on
every node that runs it.""",
        "peer_addresses": """\
This node follows such a master; keepalived drops what lists other addresses than its own and becomes master as well. Let
virtual_ipaddress of keepalived.conf and $cluster_ip list the same ones.""",
        "foreign_arp": """\
Another machine answers for an address that moves with this pair: a second cluster, a cloned machine, or the peer with
another password. The line has its MAC address; find it on the switch. This node announces the address again.""",
        "address_guarded": """\
The product or a person raised a floating address on a node that is not master; clients would have reached the wrong one.
It is gone again. If it happens at each boot, is skudonet.service started around systemd?""",
        "address_restored": """\
Something takes addresses away that this node holds as master: systemd-networkd (KeepConfiguration=yes keeps it from
that), ifdown, a DHCP client, or a script. Several times in a minute is a fault.""",
        "elector_refused": """\
The line says what the host refuses. The usual reasons: a container without NET_ADMIN and NET_RAW, another service on the
port udp_port, or local_ip that is not on this host: ip address; ss -lunp""",
        "realtime_refused": """\
It works, but under load packets can be late. In a container, allow SYS_NICE and IPC_LOCK, or raise the limits of
RTPRIO and MEMLOCK.""",
        "cannot_watch": """\
Changes there arrive late, with the next complete comparison. Mostly the kernel's limit of watches is too low:
sysctl fs.inotify.max_user_watches""",
        "events_lost": "Nothing is forgotten: everything is compared. If it is often, raise fs.inotify.max_queued_events.",
        "not_replicated": "Sockets, pipes and devices stay on their node.",
        "replication_well": "Everything that waited has arrived.",
        "state": """\
After a restart this node may not know how new its configuration is. The reason is in the line, mostly a full or read-only
disk: df -h /var/lib/skd-cluster""",
    }
)
"""For every word of EVENTS."""

TROUBLES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "refused_key": ("the peer does not let this node in", "On one of the nodes: skd-cluster pair"),
        "host_key": (
            "the peer's ssh host key is not the known one",
            "If that node was installed anew: skd-cluster pair --remove, then skd-cluster pair. If not, somebody is between.",
        ),
        "no_sshd": ("no sshd answers on the peer", "On the peer: systemctl start ssh; or set $ssh_port."),
        "unreachable": (
            "the peer cannot be reached by ssh",
            "Is it up, and does a firewall let ssh through between local_ip and remote_ip? What waits is sent when it is back.",
        ),
        "key_file": (
            "ssh cannot use its key",
            "The line says why. A key made anew by skd-cluster pair is always right.",
        ),
        "ssh_options": ("ssh does not take `ssh_options`", "Correct the key in the configuration; skd-cluster check"),
        "not_installed": (
            "the peer lacks this program",
            "Install skudonet-ce-cluster there, the same version as here.",
        ),
        "peer_config": ("the peer's configuration has errors", "On the peer: skd-cluster check"),
        "killed": (
            "the session on the peer was killed",
            "Tried again. If it stays: journalctl on the peer, is it out of memory?",
        ),
        "ssh": ("ssh failed", "The line has what it said."),
        "ended": ("the session on the peer ended", "Tried again."),
        "receive": ("receiving failed on the peer", "The line has what it said; the peer's journal has more."),
        "garbled": (
            "what the peer said is no answer",
            "Something prints into root's ssh sessions there, such as a line in /root/.bashrc: ssh -l root PEER true",
        ),
        "rsync": ("rsync failed", "The line has what it said: mostly a full disk on the peer."),
        "timeout": ("the peer did not answer in time", "Is its disk slow or full? Tried again over a new connection."),
        "unreadable": (
            "something in the tree cannot be read",
            "All else travels. Its owner, its mode or the disk is the reason.",
        ),
        "max_delete": (
            "a push that would delete most of the peer's tree waits",
            "If it is meant: skd-cluster sync --allow-delete. If not, put the files back first.",
        ),
        "peer_newer": (
            "the peer holds a newer configuration than this master",
            "Nothing is sent before it is clear who is master. It settles by itself.",
        ),
        Refusal.PROTOCOL: ("the two nodes do not understand each other", "Install the same version on both."),
        Refusal.NOT_RUNNING: ("the service does not run on the peer", "There: systemctl start skudonet-ce-cluster"),
        Refusal.MASTER: (
            "the peer takes nothing, being master itself",
            "Two masters, or two that just change. " + _STATUS,
        ),
        Refusal.OLD_EPOCH: ("the peer knows a newer mastership", "That one wins. " + _STATUS),
        Refusal.SCOPE: (
            "the peer does not take these paths",
            "configdir, rttables and replicate must be the same on both nodes.",
        ),
        Refusal.CHANGED: ("a file changed on its way", "It was written meanwhile; everything is compared again."),
        Refusal.DIFFERS: (
            "the peer's tree is not the same after the push",
            "Somebody changes files on the backup: the master is the one to edit. Everything is compared again.",
        ),
        Refusal.BUSY: ("another session writes on the peer", "Tried again."),
        Refusal.NO_SPACE: ("the peer's disk is full", "df -h there. Its old files are untouched; tried again."),
        Refusal.READ_ONLY: (
            "the peer's disk is read-only",
            "mount, dmesg there. Its old files are untouched; tried again.",
        ),
        Refusal.PERMISSION: (
            "the peer may not write a file",
            "lsattr there shows files that are immutable. Tried again.",
        ),
        Refusal.ABSENT: ("what was asked for is not on the peer", "Nothing was changed."),
        Refusal.TOO_LARGE: (
            "the peer does not take a file of this size",
            "The line names it. Exclude it with $exclude.",
        ),
        Refusal.NOT_MASTER: ("the other node is not master", "Run the command on the master. " + _STATUS),
        Refusal.FAILED: (
            "the peer failed to apply the changes",
            "The line says why. Its old files are untouched; tried again.",
        ),
    }
)
"""For kinds of trouble with the replication, whose word is `replication_` and the kind."""


def catalogue() -> str:
    """Return the journal's message catalogue."""
    troubles = {f"replication_{kind}": words for kind, words in TROUBLES.items()}
    known = {**{event: (about, ADVICE[event]) for event, about in EVENTS.items()}, **troubles}
    return "\n".join(line for event, (about, advice) in known.items() for line in _entry(event, about, advice))


def _entry(event: str, about: str, advice: str) -> Iterator[str]:
    plain = about.replace("`", "")
    yield from (f"-- {message_id(event)}", f"Subject: {plain[:1].upper()}{plain[1:]}", "Defined-By: skd-cluster")
    yield from ("Documentation: man:skd-cluster(8)", "", advice.replace("`", ""), "")
