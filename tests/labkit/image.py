"""The disk that booted nodes start from: Debian 12 with systemd, made once by debootstrap and kept in a cache.

The cache is `$XDG_CACHE_HOME/skd-cluster` (`~/.cache/skd-cluster`). An image's name holds a digest of what it was made
of, so another list of packages, or another way to make it, is another image.
"""

import fcntl
import hashlib
import os
import shlex
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Final

RELEASE: Final = "bookworm"
ROOT_PASSWORD: Final = "lab"
TOOLS: Final = ("debootstrap", "systemd-nspawn")

# What the appliance has anyway. The package's own dependencies come from the package, so that none can be forgotten there.
BASE: Final = (
    *("systemd", "systemd-sysv", "dbus", "iproute2", "procps", "iputils-ping", "openssh-server", "openssh-client"),
    *("python3", "cron", "logrotate", "less"),
)

# Run in the fresh tree with sh: what an installer would have done, and what keeps a node from calling home.
RECIPE: Final = f"""\
set -e
echo root:{ROOT_PASSWORD} | chpasswd
echo 'PermitRootLogin yes' > /etc/ssh/sshd_config.d/lab.conf
rm -f /etc/ssh/ssh_host_* /var/cache/apt/archives/*.deb /etc/apt/sources.list
: > /etc/machine-id
echo force-unsafe-io > /etc/dpkg/dpkg.cfg.d/lab
mkdir -p /var/log/journal
systemctl enable systemd-networkd
systemctl mask apt-daily.timer apt-daily-upgrade.timer systemd-timesyncd.service
"""


# By apt, because debootstrap knows nothing of virtual packages; and nothing is started in an image.
INSTALL = """\
printf '#!/bin/sh\\nexit 101\\n' > /usr/sbin/policy-rc.d
chmod 755 /usr/sbin/policy-rc.d
export DEBIAN_FRONTEND=noninteractive
apt-get -qq update
apt-get -qq -y --no-install-recommends install {packages} < /dev/null
rm /usr/sbin/policy-rc.d
"""


def image(packages: Iterable[str] = ()) -> Path:
    """Return a Debian 12 with `BASE` and these packages, made now if there is none yet. Nobody may write into it."""
    wanted = sorted({*BASE, *packages})
    stamp = hashlib.sha256("\n".join([RELEASE, INSTALL, RECIPE, *wanted]).encode()).hexdigest()[:12]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "skd-cluster"
    cache.mkdir(parents=True, exist_ok=True)
    ready = cache / f"{RELEASE}-{stamp}"
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not ready.exists():
            trial = cache / "unfinished"
            shutil.rmtree(trial, ignore_errors=True)
            _make(trial, [one for one in wanted if one not in BASE])
            trial.rename(ready)
    return ready


def _make(folder: Path, packages: list[str]) -> None:
    """Debootstrap mounts in the tree what is not always unmounted after a failure: so in namespaces of its own."""
    print(f"making an image of Debian 12 in {folder.parent}: a minute", flush=True)
    command = ["debootstrap", "--variant=minbase", f"--include={','.join(BASE)}", RELEASE, str(folder), mirror()]
    script = f"{shlex.join(command)} && exec chroot {shlex.quote(str(folder))} /bin/sh -e"
    done = subprocess.run(
        ["unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child=SIGKILL", "sh", "-c", script],
        input=INSTALL.format(packages=shlex.join(packages)) + RECIPE,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **_proxy(), "LC_ALL": "C.UTF-8", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
    )
    assert done.returncode == 0, f"no image of Debian 12: {done.stdout[-2000:]}{done.stderr[-2000:]}"


def mirror() -> str:
    """Return where this host's apt gets Debian 12 from. AssertionError when it does not."""
    command = ["apt-get", "indextargets", "--format", "$(RELEASE) $(COMPONENT) $(REPO_URI)", "Created-By: Packages"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for line in said.splitlines():
        release, component, address = line.split(maxsplit=2)
        if (release, component) == (RELEASE, "main"):
            return address
    raise AssertionError(f"no image of Debian 12: apt of this host knows no source of {RELEASE} main")


def _proxy() -> dict[str, str]:
    said = subprocess.run(
        ["apt-config", "shell", "PROXY", "Acquire::http::Proxy"], capture_output=True, text=True, check=True
    )
    words = shlex.split(said.stdout)
    return {"http_proxy": words[0].partition("=")[2]} if words else {}
