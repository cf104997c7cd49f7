"""Two real state machines in virtual time: what the tests prove the election with, and `skd-cluster simulate` shows."""
