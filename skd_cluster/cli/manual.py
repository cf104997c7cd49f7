"""Man pages and the completion of bash, made from what `--help` is made of and from the table of keys.

`python3 -m skd_cluster.cli.manual skd-cluster.8` prints that page; the package's build calls it for each in `PAGES`.
"""

import argparse
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from skd_cluster import __version__
from skd_cluster.cli.main import DEFAULT_CONFIG, VERBS, build_parser
from skd_cluster.config.schema import KEYS, Key
from skd_cluster.core.catalogue import catalogue
from skd_cluster.core.model import ExitCode

_MEANING = {
    ExitCode.OK: "ok",
    ExitCode.FAILED: "failed",
    ExitCode.USAGE: "usage",
    ExitCode.NOT_RUNNING: "the service is not running",
    ExitCode.CONFIG: "the configuration is refused",
}

_FILES = {
    str(DEFAULT_CONFIG): "the configuration, see skudonet-cluster.conf(5)",
    "/etc/skudonet-ce-cluster.status": "this node's role in one word: `master`, `backup`, `fault` or `standby`. No file: the "
    "service does not run",
    "/usr/local/skudonet/app/ucarp/sbin/skudonet-ce-cluster-start": "hook, run when this node became master",
    "/usr/local/skudonet/app/ucarp/sbin/skudonet-ce-cluster-stop": "hook, run when it became backup, and when it stops",
    "/usr/local/skudonet/app/ucarp/sbin/skudonet-ce-cluster-advertisement": "hook, run each `adver_interval` on the master",
    "/usr/local/skudonet/app/ucarp/checks.d": "health checks: every executable, exit 0 is healthy",
    "/var/log/skdinotify.log": "log of the replication; the journal has everything",
    "/var/lib/skd-cluster": "what must survive a restart: epoch, history, the pair's keys",
}

_EXAMPLES = {
    "skd-cluster check": "everything that is wrong with the configuration",
    "skd-cluster pair": "let both nodes replicate to each other, once, on one of them",
    "systemctl enable --now skudonet-ce-cluster": "start it, first on the node that is to be master",
    "skd-cluster status --watch": "who is master, and whether the other one could take over",
    "skd-cluster failover": "hand over to the peer",
    "journalctl -xu skudonet-ce-cluster": "what happened, and what to do about it",
}


def verbs() -> dict[str, argparse.ArgumentParser]:
    """Return the parser of each verb, with all its arguments."""
    return dict(_choices(build_parser(list(VERBS))))


def _choices(parser: argparse.ArgumentParser) -> Mapping[str, argparse.ArgumentParser]:
    for action in parser._actions:  # noqa: SLF001 -- argparse says nowhere else what it was told
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 -- nor of what class that is
            choices: Mapping[str, argparse.ArgumentParser] = action.choices
            return choices
    return {}


def _arguments(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Yield what a verb takes besides --help and --config, which all take, and its own verbs."""
    for action in parser._actions:  # noqa: SLF001 -- as above
        if isinstance(action, argparse._SubParsersAction) or {"-h", "--config"} & set(action.option_strings):  # noqa: SLF001
            continue
        yield action


def _metavar(action: argparse.Action) -> str:
    if action.nargs == 0:
        return ""
    found = action.metavar or action.dest.upper()
    return found if isinstance(found, str) else " ".join(found)


# --- roff ----------------------------------------------------------------------------------


def roff(text: str) -> str:
    """Return plain text, with `words` of the user's in bold, for a man page."""
    plain = text.replace("\\", "\\e").replace("-", "\\-")
    plain = re.sub(r"`([^`]*)`", r"\\fB\1\\fR", plain)
    return re.sub(r"^([.'])", r"\\&\1", plain, flags=re.MULTILINE)


def _head(name: str, section: int, about: str) -> list[str]:
    title = f'.TH {roff(name).upper()} {section} "" "skd\\-cluster {__version__}" "SKUDONET CE cluster"'
    return [title, ".SH NAME", f"{roff(name)} \\- {roff(about)}"]


def _items(items: Mapping[str, str]) -> Iterator[str]:
    for name, about in items.items():
        yield from (".TP", f".B {roff(name)}", roff(about))


def page_of_the_command() -> str:
    """Return skd-cluster(8)."""
    lines = _head("skd-cluster", 8, "high availability for a pair of SKUDONET CE load balancers")
    lines += [".SH SYNOPSIS", ".B skd\\-cluster", ".I VERB", "[\\fB\\-\\-config\\fR \\fIFILE\\fR] [\\fIOPTIONS\\fR]"]
    lines += [".SH DESCRIPTION", roff(_DESCRIPTION), ".SH VERBS"]
    for name, parser in verbs().items():
        lines += [f".SS {roff(name)}", roff(parser.description or ""), *_options(parser)]
        for act, inner in _choices(parser).items():
            lines += [
                ".TP",
                f".B {roff(f'{name} {act}')}",
                roff(inner.description or ""),
                ".RS",
                *_options(inner),
                ".RE",
            ]
    lines += [".SH OPTIONS", *_items({"--config FILE": f"the configuration; default: `{DEFAULT_CONFIG}`"})]
    lines += _items(
        {"--json": "print facts for programs, wherever there are any", "--help": "what a verb does and takes"}
    )
    lines += [".SH EXIT STATUS", *_items({str(int(code)): about for code, about in _MEANING.items()})]
    lines += [".SH FILES", *_items(_FILES), ".SH EXAMPLES", *_items(_EXAMPLES)]
    lines += [".SH SEE ALSO", ".BR skudonet\\-cluster.conf (5),", ".BR journalctl (1)"]
    return "\n".join(lines) + "\n"


_DESCRIPTION = """\
One of two load balancers is master and holds the floating addresses, the other one is backup and holds an up-to-date copy \
of the configuration. The service skudonet-ce-cluster runs on both; this command asks it, and changes what can be changed. \
It is for root."""


def _options(parser: argparse.ArgumentParser) -> Iterator[str]:
    for action in _arguments(parser):
        if action.dest == "json":
            continue
        words = [f"\\fB{roff(one)}\\fR" for one in action.option_strings]
        metavar = _metavar(action)
        name = ", ".join(words) + (f" \\fI{roff(metavar)}\\fR" if metavar else "")
        about = (action.help or "") % {**vars(action), "prog": "skd-cluster"}
        yield from (".TP", name.strip(), roff(about))


def page_of_the_file() -> str:
    """Return skudonet-cluster.conf(5)."""
    lines = _head("skudonet-cluster.conf", 5, "configuration of a pair of SKUDONET CE load balancers")
    lines += [".SH SYNOPSIS", f".I {roff(str(DEFAULT_CONFIG))}", ".SH DESCRIPTION"]
    for paragraph in _FORMAT.split("\n\n"):
        lines += [".PP", roff(paragraph)]
    lines += [".PP", ".EX", roff('$interface="eth0";\n$local_ip="192.168.1.250";\n$remote_ip="192.168.1.251";'), ".EE"]
    lines.append(".SH KEYS")
    for key in KEYS.values():
        lines += [".TP", f".B {roff(key.name)}", *_about(key)]
    lines += [".SH SEE ALSO", ".BR skd\\-cluster (8)"]
    return "\n".join(lines) + "\n"


_FORMAT = """\
Lines of the form `$name="value";`, in any order. `#` begins a comment, also after a value. Quotes may be double or single; in \
double ones `"$configdir/x"` contains the value of a key that stands above. The file is read, never executed. A file of \
version 2 works as it is.

`skd-cluster check` names everything that is wrong, with the line. `systemctl reload skudonet-ce-cluster` puts into force what \
can change while the service runs, and says what cannot. The file has a password: `chmod 600`."""


def _about(key: Key) -> Iterator[str]:
    yield roff(key.doc)
    default = "Required." if key.required else f"Default: `{key.default}`." if key.default else "Default: none."
    yield from (".br", roff(f"{key.form.words[:1].upper()}{key.form.words[1:]}. {default}"))


# --- bash ----------------------------------------------------------------------------------


def completion() -> str:
    """Return the completion of bash."""
    lines = ["# bash completion of skd-cluster, made from its verbs", "", "_skd_cluster() {"]
    lines += ["    local cur prev words cword", "    _init_completion || return", "    case $prev in"]
    lines += ["        --config) _filedir; return ;;", "    esac", "    local verb=${words[1]} act=${words[2]-} found="]
    lines += ['    if [ "$cword" = 1 ]; then', f"        found='{' '.join(VERBS)}'", "    else", "        case $verb:$act in"]  # fmt: skip
    for name, parser in verbs().items():
        acts = _choices(parser)
        for act, inner in acts.items():
            lines.append(f"            {name}:{act}) found='{_words(inner)}' ;;")
        lines.append(f"            {name}:*) found='{' '.join([*acts, _words(parser)])}' ;;")
    lines += ["        esac", "    fi", '    mapfile -t COMPREPLY < <(compgen -W "$found" -- "$cur")', "}", ""]
    return "\n".join([*lines, "complete -F _skd_cluster skd-cluster"]) + "\n"


def _words(parser: argparse.ArgumentParser) -> str:
    options = [one for action in _arguments(parser) for one in action.option_strings if one.startswith("--")]
    choices = [str(one) for action in _arguments(parser) for one in action.choices or ()]
    return " ".join([*options, *choices, "--config", "--help"])


PAGES: Mapping[str, Callable[[], str]] = MappingProxyType(
    {
        "skd-cluster.8": page_of_the_command,
        "skudonet-cluster.conf.5": page_of_the_file,
        "skd-cluster.bash": completion,
        "skd-cluster.catalog": catalogue,
    }
)


def main() -> None:
    """Print the pages named on the command line."""
    for name in sys.argv[1:]:
        sys.stdout.write(PAGES[name]())


if __name__ == "__main__":
    main()
