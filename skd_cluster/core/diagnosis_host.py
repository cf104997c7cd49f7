"""Rules of `skd-cluster doctor` about one node's service and what it stands on: units, files, hooks, disks, limits."""

from collections.abc import Iterator

from skd_cluster.core.diagnosis import NodeRule, Verdict, beside, ok, problem, warning
from skd_cluster.core.diagnosis_facts import NodeFacts

_SERVICE = "skudonet-ce-cluster"
_OTHERS = 0o077

_FULL, _NEARLY = 0.02, 0.10
"""Shares of a file system that are free. What is full keeps the status file, the state and replicated files from being written."""

_LITTLE = 64 << 20
"""Bytes. Of a large disk a tenth is much; less than this is little on any."""

_WATCHES_EACH = 2
"""The tree is read once more while it is watched, and other programs want some."""


def _configuration(node: NodeFacts) -> Iterator[Verdict]:
    found = [warning(one, f"skd-cluster check --config {node.config}") for one in node.warnings]
    if node.config_mode > 0 and node.config_mode & _OTHERS:
        found.append(warning(f"{node.config} has mode {node.config_mode:04o}", f"chmod 600 {node.config}"))
    if node.config_owner > 0:
        found.append(problem(f"{node.config} belongs to user {node.config_owner}", f"chown root:root {node.config}"))
    yield from found or [ok(f"{node.config}, for root only, no warnings")]


def _service(node: NodeFacts) -> Iterator[Verdict]:
    state, result = node.unit.get("ActiveState", ""), node.unit.get("Result", "")
    if node.status:
        yield ok(f"answers: this node is {node.status.get('role', '?')}")
    elif node.setting("enable_cluster") == "false":
        yield beside(f'switched off: enable_cluster="false" in {node.config}')
    elif node.unit.get("ExecMainStatus") == "78":
        yield problem("it does not start: the configuration was refused", f"skd-cluster check --config {node.config}")
    else:
        about = f" ({state}, {result})" if state else ""
        remedy = f"systemctl start {_SERVICE}; journalctl -u {_SERVICE} -n 20"
        yield problem(f"the service does not run{about}", remedy)
    for one in node.status.get("problems", []):
        if str(one).startswith(("check ", "elector", "the last ", "the configuration file")):
            yield problem(str(one), f"journalctl -u {_SERVICE} -n 50")


def _unit(node: NodeFacts) -> Iterator[Verdict]:
    load = node.unit.get("LoadState", "")
    if not node.unit:
        yield beside("systemd does not run here")
        return
    if load != "loaded":
        yield problem(f"{_SERVICE}.service is {load or 'not known'}", f"apt install --reinstall {_SERVICE}")
        return
    found = []
    if node.unit.get("UnitFileState") not in ("enabled", "enabled-runtime"):
        found.append(warning("it is not started at boot", f"systemctl enable {_SERVICE}"))
    if "78" not in node.unit.get("RestartPreventExitStatus", "78").split():
        found.append(warning("a refused configuration is tried again for ever", f"systemctl revert {_SERVICE}"))
    if node.unit.get("NeedDaemonReload") == "yes":
        found.append(warning("the unit was changed on disk", "systemctl daemon-reload"))
    if node.unit.get("Type", "notify") not in ("notify", "notify-reload"):
        found.append(warning(f"Type={node.unit['Type']}, expected notify", f"systemctl revert {_SERVICE}"))
    yield from found or [ok("enabled at boot, as shipped")]


def _product(node: NodeFacts) -> Iterator[Verdict]:
    if node.product_unit.get("LoadState") != "loaded":
        yield beside("skudonet.service is not installed here")
    elif _SERVICE not in node.product_unit.get("DropInPaths", ""):
        remedy = f"apt install --reinstall {_SERVICE} && systemctl daemon-reload"
        yield problem("nothing keeps the product from raising floating addresses at boot on a backup", remedy)
    else:
        yield ok("skudonet.service starts on the master only")


def _status_file(node: NodeFacts) -> Iterator[Verdict]:
    path = node.setting("status_file")
    role = str(node.status.get("role", ""))
    if node.word == role:
        yield ok(f"{path} says {role}" if role else f"{path} is not there, as without a service")
    elif not role:
        yield warning(f"{path} says {node.word}, and no service answers", f"rm {path}")
    else:
        yield problem(
            f"{path} says {node.word or 'nothing'}, the service is {role}", f"df {path}; systemctl restart {_SERVICE}"
        )


def _state(node: NodeFacts) -> Iterator[Verdict]:
    folder = node.setting("state_dir")
    if node.state_dir:
        yield problem(
            f"{folder}: {node.state_dir}", f"mkdir -p {folder} && chown root:root {folder} && chmod 700 {folder}"
        )
    else:
        yield ok(f"{folder} can be written")


def _disks(node: NodeFacts) -> Iterator[Verdict]:
    found = []
    for path, free, size, inodes, all_inodes in node.disks:
        share = free / size if size else 1.0
        nodes = inodes / all_inodes if all_inodes else 1.0
        words = (
            f"{path}: {free >> 20} MiB of {size >> 20} free"
            if share <= nodes
            else f"{path}: {inodes} inodes of {all_inodes} free"
        )
        remedy = (
            f"du -xh {path} | sort -h | tail -20" if share <= nodes else f"du -x --inodes {path} | sort -n | tail -20"
        )
        if min(share, nodes) < _FULL and (free < _LITTLE or nodes < _FULL):
            found.append(problem(words, remedy))
        elif (share < _NEARLY and free < _LITTLE * 8) or nodes < _NEARLY:
            found.append(warning(words, remedy))
    yield from found or [ok(", ".join(f"{one[0]} {one[1] >> 20} MiB free" for one in node.disks) or "not known")]


def _inotify(node: NodeFacts) -> Iterator[Verdict]:
    if min(node.watches, node.folders) < 0:
        yield beside("not known")
        return
    wanted = _WATCHES_EACH * node.folders
    words = f"{node.folders} folders are watched, max_user_watches is {node.watches}"
    if node.watches < wanted:
        more = max(65536, 4 * wanted)
        remedy = f"echo fs.inotify.max_user_watches={more} > /etc/sysctl.d/90-skd-cluster.conf && sysctl --system"
        short = node.watches < node.folders
        yield problem(words, remedy) if short else warning(words, remedy)
    elif 0 <= node.instances < 16:
        remedy = "echo fs.inotify.max_user_instances=128 > /etc/sysctl.d/91-skd-cluster.conf && sysctl --system"
        yield warning(f"max_user_instances is {node.instances}", remedy)
    else:
        yield ok(words)


def _realtime(node: NodeFacts) -> Iterator[Verdict]:
    runtime, period = node.realtime_runtime, node.realtime_period
    refused = bool(node.status) and not node.status.get("elector", {}).get("realtime", True)
    if runtime == 0:
        yield problem(
            "kernel.sched_rt_runtime_us is 0: no real-time process runs", "sysctl -w kernel.sched_rt_runtime_us=950000"
        )
    elif refused:
        words = "the elector runs without real-time scheduling: late under load"
        yield warning(words, f"systemctl show {_SERVICE} -p LimitRTPRIO; systemctl revert {_SERVICE}")
    elif 0 < runtime < period // 10:
        words = f"real-time processes may run {runtime} of {period} us"
        yield warning(words, "sysctl -w kernel.sched_rt_runtime_us=950000")
    else:
        yield ok("real-time scheduling is to be had") if runtime >= -1 and period > 0 else beside("not known")


def _time(node: NodeFacts) -> Iterator[Verdict]:
    if node.synchronized < 0:
        yield beside("not known")
    elif node.synchronized:
        yield ok("the kernel's clock is synchronized")
    else:
        remedy = "apt install systemd-timesyncd; systemctl enable --now systemd-timesyncd"
        yield warning("nobody synchronizes the clock", remedy)


def _hooks(node: NodeFacts) -> Iterator[Verdict]:
    wrong = [one for one in node.hooks if one[2]]
    for name, path, what in wrong:
        if what == "missing":
            yield warning(
                f"{name}: {path} is not there",
                f"apt install --reinstall -o Dpkg::Options::=--force-confmiss {_SERVICE}",
            )
        elif what == "not executable":
            yield problem(f"{name}: {path} is not executable", f"chmod 755 {path}")
        else:
            yield problem(f"{name}: {path}: {what}", f"head -1 {path}; edit it to begin with #!/bin/sh")
    if not wrong:
        yield ok(f"{len(node.hooks)} hooks, executable")


def _checks(node: NodeFacts) -> Iterator[Verdict]:
    found = [warning(f"{path} is not executable and is not run", f"chmod 755 {path}") for path in node.idle_checks]
    known = node.status.get("checks", [])
    sick = [one for one in known if not one["healthy"]]
    folder = node.setting("checks_dir")
    found += [problem(f"{one['name']}: {one['detail']}", f"{folder}/{one['name']}; echo $?") for one in sick]
    yield from found or [ok(f"{len(known)} health checks, none of them fails")]


def _metrics(node: NodeFacts) -> Iterator[Verdict]:
    where = node.setting("metrics_listen")
    if where == "off":
        yield beside("switched off")
    elif node.metrics:
        port = where.rpartition(":")[2]
        yield warning(f"{where}: {node.metrics}", f"ss -ltnp 'sport = :{port}'")
    else:
        yield ok(where)


def _prompt(node: NodeFacts) -> Iterator[Verdict]:
    if node.prompt:
        yield ok(f"shown by {' '.join(node.prompt)}")
    else:
        source = "/usr/share/skudonet-ce-cluster/skd-prompt.sh"
        yield warning("the prompt does not show the role", f"ln -sf {source} /etc/profile.d/skd-prompt.sh")


def _leftovers(node: NodeFacts) -> Iterator[Verdict]:
    for what, remedy in node.leftovers:
        yield problem(what, remedy)
    if not node.leftovers:
        yield ok("nothing of version 2 is left")


def _replication(node: NodeFacts) -> Iterator[Verdict]:
    if node.status.get("role") != "master":
        yield beside("this node is not master")
        return
    replication = node.status.get("replication", {})
    conflicts = node.status.get("conflicts", [])
    if replication.get("last_error"):
        error = str(replication["last_error"])
        asks = "--allow-delete" in error  # for a decision, which needs a look at what it is about
        yield problem(
            error,
            f"skd-cluster {'diff' if asks else 'sync'}; skd-cluster {'sync --allow-delete' if asks else 'status'}",
        )
    elif not replication.get("in_sync"):
        pending = replication.get("pending", 0)
        words = f"the peer lacks {pending} changes" if pending else "the peer has not confirmed to hold the same"
        yield warning(words, "skd-cluster diff; skd-cluster sync")
    else:
        yield ok("the peer has confirmed everything")
    for one in conflicts:
        yield warning(f"conflict {one['name']} waits on {one['node']}", f"skd-cluster history show {one['name']}")


def _complete(node: NodeFacts) -> Iterator[Verdict]:
    for one in node.late:
        yield warning(f"not found out: {one}", "dmesg | tail -20")
    if not node.late:
        yield ok("everything could be looked at")


RULES = (
    NodeRule("configuration", "The file is for root only and has no warnings.", _configuration),
    NodeRule("service", "The service answers, and has nothing to complain of.", _service),
    NodeRule("unit", "The unit is there, enabled at boot, and has what it was shipped with (`RestartPreventExitStatus=78`, `Type=notify`).", _unit),
    NodeRule("product", "The product's own service starts on the master only: else a backup raises floating addresses at boot.", _product),
    NodeRule("replication", "On the master: the peer has everything, nothing waits for a decision.", _replication),
    NodeRule("status-file", "What prompts and scripts read is what the service says.", _status_file),
    NodeRule("state", "`state_dir` can be written: the epoch and the history are there.", _state),
    NodeRule("disks", "Space and inodes where the status file, the state and the tree are.", _disks),
    NodeRule("inotify", "The kernel's watches are enough for every folder of the tree; else changes are found by reading all.", _inotify),
    NodeRule("real-time", "The elector may run before everything else, so that load does not make it late.", _realtime),
    NodeRule("time", "Somebody synchronizes the clock.", _time),
    NodeRule("hooks", "Each hook is there, executable, and begins with a program that is there.", _hooks),
    NodeRule("checks", "The health checks are executables, and none of them fails.", _checks),
    NodeRule("metrics", "The port of the metrics is served by the service, or free while it does not run.", _metrics),
    NodeRule("prompt", "Something shows the role in the prompt.", _prompt),
    NodeRule("leftovers", "No process, script or prompt line of version 2.", _leftovers),
    NodeRule("complete", "Each question above was answered in time.", _complete),
)  # fmt: skip
