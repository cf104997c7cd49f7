import bcrypt
import pytest

from skd_cluster.adapters import passwords
from skd_cluster.adapters.passwords import Passwords

HASH = bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()


def test_only_the_right_password_of_a_known_user():
    known = Passwords({"prom": HASH, "apache": "$2y$" + HASH[4:]})
    for _ in range(2):  # the second answer is a remembered one
        assert known.right("prom", b"secret")
        assert known.right("apache", b"secret")
        assert not known.right("prom", b"other")
        assert not known.right("nobody", b"secret")
    assert not known.right("prom", b"x" * 200)
    assert not known.right("prom", b"")


def test_a_user_cannot_borrow_the_characters_of_a_password():
    known = Passwords({"prom": HASH})
    assert known.right("prom", b"secret")
    assert not known.right("promsec", b"ret")


def test_a_known_user_is_not_told_by_the_time_it_takes():
    assert bcrypt.checkpw(b"x", passwords._NOBODY.encode()) is False  # a hash that is worked on, not refused


def test_not_everything_is_remembered(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(passwords, "_MOST", 3)
    known = Passwords({"prom": HASH})
    for number in range(20):
        assert not known.right("prom", str(number).encode())
        assert len(known._known) <= 3
    assert known.right("prom", b"secret")


def test_nobody_is_asked_where_nobody_is_named():
    assert not Passwords({}).wanted
    assert Passwords({"prom": HASH}).wanted


def test_whoever_knows_the_password_of_nobody_is_nobody(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(passwords, "_NOBODY", HASH)
    assert not Passwords({"prom": HASH}).right("nobody", b"secret")
