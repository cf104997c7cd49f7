"""What a thief of a pair's key can ask for, and what he gets."""

import shlex
from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from skd_cluster.core.gate import ForbiddenError, Probe, Rsync, Serve, judge, rsync_argv

TREE = "/usr/local/skudonet/.skd-staging/4711/tree"
PLACES = {f"{TREE}/{root}{end}": TREE for root in ("config", "rt_tables", "extra/srv/odd name's") for end in ("", "/")}
OWN = f"rsync --server -pIRe.LsfxCIvu --timeout=30 --inplace --no-implied-dirs . {TREE}/config/"


def argv(command: str) -> tuple[str, ...]:
    wish = judge(command)
    assert isinstance(wish, Rsync)
    return rsync_argv("/usr/bin/rsync", wish.words, PLACES)


@pytest.mark.parametrize(
    ("command", "wish"),
    [
        ("skd-cluster receive", Serve()),
        ("skd-cluster receive --config '/etc/odd name;rm.conf'", Serve()),
        ("skd-cluster receive --probe", Probe(back=False)),
        ("skd-cluster receive --probe-back", Probe(back=True)),
    ],
)
def test_what_the_key_is_for(command, wish):
    assert judge(command) == wish


@pytest.mark.parametrize(
    "options",
    [
        "-pIRe.LsfxCIvu --timeout=30 --inplace --no-implied-dirs",
        "-pIe.LsfxCIvu --timeout=30 --inplace",
        "-pIRze.LsfxCIvu --compress-level=9 --timeout=30 --bwlimit=100 --inplace --no-implied-dirs",
        "-WpIze31.14LsfxC --timeout=30 --old-compress --inplace",
        "-pIe.LsfxCIvu --timeout=30 --compress-choice=zstd --inplace",
    ],
)
def test_our_own_rsync_as_it_is_called(options):
    """Recorded from rsync 3.2 and 3.5."""
    assert argv(f"rsync --server {options} . {TREE}/config/") == (
        *("/usr/bin/rsync", "--server", *options.split()),
        *(".", f"{TREE}/config/"),
    )
    assert argv(f"rsync --server {options} . {TREE}/extra/srv/odd\\ name\\'s")[-1] == f"{TREE}/extra/srv/odd name's"


HOSTILE = (
    None,
    "",
    "  ",
    "id",
    "/bin/sh",
    "skd-cluster",
    "skd-cluster run",
    "skd-cluster pair --accept",
    "skd-cluster receive --restricted",
    "skd-cluster receive --config",
    "skd-cluster receive --config a b",
    "skd-cluster receive; id",
    "skd-cluster receive\nid",
    "skd-cluster receive `id`",
    "skd-cluster receive 'unclosed",
    "/usr/local/bin/skd-cluster receive",
    "rsync",
    "rsync --daemon",
    "internal-sftp",
    "scp -t /root",
    "\0",
)


@pytest.mark.parametrize("command", HOSTILE)
def test_all_else_is_refused_in_one_line(command):
    with pytest.raises(ForbiddenError) as refused:
        judge(command)
    assert "\n" not in str(refused.value)
    assert str(refused.value).isprintable()


RSYNC = (
    ("--sender", "--server --sender -pIRe.LsfxCIvu . {place}"),
    ("--sender", "--server -pIRe.LsfxCIvu --sender --inplace . {place}"),
    ("option", "--server --daemon . {place}"),
    ("option", "--server --config=/x . {place}"),
    ("option", "--server -s . {place}"),
    ("option", "--server -pIRse.LsfxCIvu . {place}"),
    ("option", "--server -plIRe.LsfxCIvu . {place}"),
    ("option", "--server -pIRe.LsfxCIvu;id . {place}"),
    ("option", "--server -pIRe . {place}"),
    ("option", "--server -e sh . {place}"),
    ("option", "--server -pIR --rsh=sh . {place}"),
    ("option", "--server -pIR --log-file=/root/.bashrc . {place}"),
    ("option", "--server -pIR --log-file /root/.bashrc . {place}"),
    ("option", "--server -pIR --temp-dir=/root . {place}"),
    ("option", "--server -pIR --backup-dir=/root --backup . {place}"),
    ("option", "--server -pIR --partial-dir=/root . {place}"),
    ("option", "--server -pIR --copy-dest=/etc . {place}"),
    ("option", "--server -pIR --link-dest=/etc . {place}"),
    ("option", "--server -pIR --files-from=/etc/shadow . {place}"),
    ("option", "--server -pIR --remove-source-files . {place}"),
    ("option", "--server -pIR --write-batch=/root/x . {place}"),
    ("option", "--server -pIR --delete . {place}"),
    ("option", "--server -pIR --timeout=30x . {place}"),
    ("option", "--server -pIR --timeout=30\n . {place}".replace("\n ", "\\\n ")),
    ("option", "--server -pIR . {place} . {place}"),
    ("option", "--server -pIR -- . {place}"),
    ("writing outside", "--server -pIR . {place}../"),
    ("writing outside", "--server -pIR . {place}x"),
    ("writing outside", "--server -pIR . {place}/"),
    ("writing outside", "--server -pIR . {place}sub"),
    ("writing outside", "--server -pIR . /"),
    ("writing outside", "--server -pIR . /root/.ssh"),
    ("writing outside", "--server -pIR . config/"),
    ("writing outside", "--server -pIR . /usr/local/skudonet/.skd-staging/4712/tree/config/"),
    ("writing outside", "--server -pIR . ''"),
    ("rsync", "--server"),
    ("rsync", "--server ."),
    ("rsync", "--server {place}"),
    ("rsync", "--server -pIR {place}"),
    ("rsync", "--server -pIR . {place} /root"),
    ("rsync", "--server -pIR /etc/shadow {place}"),
)


@pytest.mark.parametrize(("words", "command"), RSYNC)
def test_a_hostile_rsync_is_refused(words, command):
    place = f"{TREE}/config/"
    with pytest.raises(ForbiddenError, match=words) as refused:
        argv("rsync " + command.format(place=place))
    assert "\n" not in str(refused.value)


def test_without_a_session_there_is_nowhere_to_write():
    with pytest.raises(ForbiddenError, match="own staging folder"):
        rsync_argv("/usr/bin/rsync", judge(OWN).words, {})


def test_what_was_asked_cannot_forge_a_log_or_move_a_cursor():
    with pytest.raises(ForbiddenError) as refused:
        judge("\x1b[2J\n2026-01-01 ok: generation 1" + "x" * 5000)
    assert str(refused.value).isprintable()
    assert str(refused.value).isascii() or str(refused.value).replace("…", "").isascii()
    assert len(str(refused.value)) < 300


pieces = st.sampled_from(
    [
        *OWN.split(),
        *(
            "--sender",
            "--daemon",
            "-s",
            "-l",
            "-e",
            "sh",
            "--rsh=sh",
            "--delete",
            "..",
            "/",
            "/root/",
            "--",
            "",
            "-",
            "--log-file=/x",
        ),
        *("-pIRsle.L", "-pIRe.L;id", "--inplace=/x", "--timeout=1\n", f"{TREE}/config/../x", f"{TREE}/rt_tables"),
    ]
)


@given(st.lists(pieces | st.text(max_size=8), max_size=9))
@example(OWN.split()[2:])
def test_whatever_passes_writes_into_the_staging_folder_and_does_nothing_else(words):
    """Against another, dumber reading of the same words."""
    try:
        found = argv(shlex.join(["rsync", "--server", *words]))
    except ForbiddenError:
        return
    assert found[:2] == ("/usr/bin/rsync", "--server")
    assert found[-2] == "."
    assert found[-1] in PLACES
    for option in found[2:-2]:
        name = option.partition("=")[0]
        if name.startswith("--"):
            assert name in {"--timeout", "--inplace", "--no-implied-dirs"}
        else:
            assert option[0] == "-"
            assert set(option[1:].partition("e")[0]) <= set("pIRWz")
        assert not set(option) & set(" \t\n;|&$`'\"\\/")


@given(st.text(max_size=200))
def test_any_text_is_judged_or_refused(text):
    with suppress(ForbiddenError):
        assert isinstance(judge(text), Serve | Probe | Rsync)
