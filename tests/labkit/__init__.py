"""A laboratory: two load balancers and a client as real machines of one host, in namespaces.

    from tests.labkit import Lab, eventually

    with Lab() as lab:
        lb1, lb2 = lab.node("lb1", "10.77.0.1"), lab.node("lb2", "10.77.0.2")
        client = lab.client("10.77.0.50")
        for node in (lb1, lb2):
            node.make_tree()
            node.write_config(advert_interval="0.1")
        lab.trust()                                     # root's keys both ways, sshd on both
        lb1.add_address()                               # 10.77.0.100/24: choose the first master
        lb1.start_daemon(); lb2.start_daemon()          # returns at READY=1
        eventually(lambda: lb1.role() == "master", what="lb1 is master")
        with client.probe("10.77.0.100") as probe, lab.watch_holders() as watch:
            mark = probe.mark()
            lab.power_off(lb1)
            eventually(lambda: lb2.role() == "master", what="lb2 took over")
            probe.wait_answer()
            print(probe.gap_since(mark))                # "412.3 ms"; .ms .seconds .start .lost .sure
            print(watch.overlap_seconds(), watch.spans())

Needs root, nothing of the host is touched: no network of it, no file outside /tmp, and all of it is gone after the
block, or when this program is killed. Two labs can run side by side. From a plain script: PYTHONPATH=<repository>.

Machine (nodes and client)   own network, processes, hostname, IPC; own overlay of /etc /usr/local /var /root, own /run.
                             /tmp is shared with the host, everything else is the host's.
    run(cmd, check, input, timeout, env) -> CompletedProcess, text; a string goes to bash; raises CommandError
    popen(cmd, env, cwd, output, stdin=...) -> Process: pid (on the host), alive, send(signal), wait(), stdout
    path(inside) -> Path         the file from outside;  write(inside, text, mode)
    processes(), kill_everything(), pause(pid), resume(pid)        numbers are always the host's
    pid, enter                   its first process; the command that gives a person a shell in it
Node                             peer, address, product (folder of the programs under test)
    make_tree(farms=60), write_config(key=value or None), hooks()
    make_keys(), trust(other), start_sshd(), stop_sshd()
    start_daemon(command, wait, watchdog, env), stop_daemon(), kill_daemon(), daemon_pids(), notified, notify, output()
    role(), status(), holds(address), add_address(), remove_address(), link_down(), link_up()
Client                           probe(address) -> Prober (or Prober(machine, address) from any machine): mark(),
                                 gap_since(mark), longest_gap(), wait_answer(), worst_stall(), sent, answered
Lab                              node(), client(), trust(), cut(m), mend(m), power_off(n), power_on(n),
                                 partition(a, b, one_way), heal(), lose(percent, between),
                                 watch_holders(address) -> HolderWatch: mark(), holders(), spans(since),
                                 overlap_seconds(since), vacant_seconds(since)
                                 second_cable(a, b, ip_a, ip_b), keep() -> the command that ends it later
"""

from .client import Client, Gap, Prober
from .holders import HolderWatch, Span
from .lab import Lab
from .machine import CommandError, Machine, Process, why_not
from .node import CLUSTER_CONF, CLUSTER_IP, CONFIG_TREE, RT_TABLES, STATUS_FILE, Node
from .waiting import eventually

__all__ = [
    "CLUSTER_CONF",
    "CLUSTER_IP",
    "CONFIG_TREE",
    "RT_TABLES",
    "STATUS_FILE",
    "Client",
    "CommandError",
    "Gap",
    "HolderWatch",
    "Lab",
    "Machine",
    "Node",
    "Prober",
    "Process",
    "Span",
    "eventually",
    "why_not",
]
