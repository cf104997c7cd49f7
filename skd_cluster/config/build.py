"""From assignments to typed values: each key read by its form, and everything that is wrong with any of them noted."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, field

from skd_cluster.config.arguments import mend_dashes
from skd_cluster.config.problems import Kind, Remark, Report, Severity
from skd_cluster.config.quoting import HARD_BLANKS, OPENING, read_as_perl
from skd_cluster.config.schema import IGNORED, KEYS, Key
from skd_cluster.config.syntax import Statement
from skd_cluster.config.values import BadValue, Note

_LONGEST_KEY = 40  # beyond it no key of ours is near, and looking for one is slow
_NEAR = 0.75  # `$base` is near nothing, `$interfac` and `$_remote_ip` are near theirs


@dataclass(slots=True, repr=False)
class Draft:
    """What a file said, before the rules between keys. No repr: it has the password."""

    texts: dict[str, str] = field(default_factory=dict)
    """Values as text, of unknown keys too; none where the syntax was broken."""
    lines: dict[str, int] = field(default_factory=dict)
    """Line of each key that is in the file, readable or not."""
    version2: dict[str, str | None] = field(default_factory=dict)
    """Values as version 2 had them, which let Perl read the file; None where that is not known."""
    typed: dict[str, object] = field(default_factory=dict)
    """Values as the program uses them; none for a key with an error."""

    def line(self, key: str) -> int | None:
        """Return the line that set a key, None if only its default did."""
        return self.lines.get(key)


def build(statements: Sequence[Statement], report: Report) -> Draft:
    """Read every value, put in the defaults, note what is unknown, missing or wrong. The last of two assignments counts."""
    draft = Draft(version2=as_version_2_read(statements))
    for statement in _last_of_each(statements, report):
        draft.lines[statement.key] = statement.line
        if statement.value is not None:
            draft.texts[statement.key] = statement.value
    for name in list(draft.lines):
        _read(name, draft, report)
    for key in KEYS.values():
        if key.required and not _excused(key, draft):
            if key.name not in draft.lines:
                report.add(Remark(Kind.MISSING_KEY, f'${key.name}="{key.form.words}";'), None, key.name)
        elif key.name not in draft.typed and not _has_text(key.name, draft):
            draft.typed[key.name] = default_of(key)
    return draft


def as_version_2_read(statements: Sequence[Statement]) -> dict[str, str | None]:
    """Return the values that Perl, and so version 2, read from the same file; None where that is not known."""
    values: dict[str, str | None] = {}
    for one in statements:
        literal = one.value is not None and one.raw[:1] in OPENING and bool(one.raw)
        values[one.key] = read_as_perl(one.raw, values) if literal else one.value
    return values


def default_of(key: Key) -> object:
    """Return a key's default as the program uses it, None where there is none."""
    return None if key.default is None else key.form.read(key.default, _never)


def _never(remark: Remark) -> None:
    raise AssertionError(f"a default of our own: {remark}")


def _last_of_each(statements: Sequence[Statement], report: Report) -> list[Statement]:
    first: dict[str, int] = {}
    last: dict[str, Statement] = {}
    for statement in statements:
        earlier = first.setdefault(statement.key, statement.line)
        if statement.key in last:
            remark = Remark(
                Kind.DUPLICATE_KEY,
                f"it once (the last one counts; first in line {earlier})",
                "it again",
                Severity.WARNING,
                first_line=earlier,
            )
            report.add(remark, statement.line, statement.key)
        last[statement.key] = statement
    return list(last.values())


def _has_text(name: str, draft: Draft) -> bool:
    """Tell whether a file gave a value, even one that cannot be read: then the default has nothing to do with it."""
    return name in draft.lines and (name not in draft.texts or bool(draft.texts[name].strip()))


def _excused(key: Key, draft: Draft) -> bool:
    return key.name == "password" and _has_text("password_file", draft)


def _read(name: str, draft: Draft, report: Report) -> None:
    """Read one key's text into its type. An empty optional value is as good as none."""
    line = draft.lines[name]
    key = KEYS.get(name)
    if key is None:
        report.add(_stranger(name, report), line, name)
        return
    if name not in draft.texts:
        return

    errors = 0

    def note(remark: Remark) -> None:
        nonlocal errors
        errors += remark.severity is Severity.ERROR
        report.add(remark, line, name)

    text = draft.texts[name] = _mended(key, draft.texts[name], note)
    wanted = text if key.form.verbatim else text.strip()
    if not wanted:
        if key.required and not _excused(key, draft):
            note(Remark(Kind.EMPTY_VALUE, key.form.words))
        return
    try:
        value = key.form.read(wanted, note)
    except BadValue as bad:
        note(bad.remark)
        return
    if not errors:
        draft.typed[name] = value


def _mended(key: Key, text: str, note: Note) -> str:
    """Undo what a web page did to blanks and hyphens, with a warning each."""
    if key.form.verbatim:
        return text
    if hard := next((one for one in text if one in HARD_BLANKS), None):
        found = f"U+{ord(hard):04X}"
        note(Remark(Kind.NON_BREAKING_SPACE, "an ordinary blank (read so)", found, Severity.WARNING))
        text = "".join(" " if one in HARD_BLANKS else one for one in text)
    mended = mend_dashes(text) if key.form.options else text
    if mended != text:
        note(Remark(Kind.TYPOGRAPHIC_DASH, "two hyphens (read so)", "a typographic dash", Severity.WARNING))
    return mended


def _stranger(name: str, report: Report) -> Remark:
    if name in IGNORED:
        return Remark(Kind.IGNORED_KEY, "nothing: it has no effect any more", name, Severity.NOTE)
    near = [] if len(name) > _LONGEST_KEY or report.full else difflib.get_close_matches(name, KEYS, 1, _NEAR)
    nearest = near[0] if near else None
    expected = f"a known key, perhaps ${nearest}" if nearest else "a known key"
    return Remark(Kind.UNKNOWN_KEY, expected, name, Severity.WARNING, nearest=nearest)
