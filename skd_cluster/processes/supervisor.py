"""`skd-cluster run`: everything that may be slow, around an elector that never waits.

The elector decides; this process tells systemd, people, hooks, monitoring and the replicator what it decided. If either
of the two dies the node gives up its addresses, resigns and exits, for systemd to start it again.
"""

import os
import signal
import socket
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path

from skd_cluster import __version__
from skd_cluster.adapters import notify, state
from skd_cluster.adapters.clock import monotonic
from skd_cluster.adapters.control import AlreadyRunning, ControlServer
from skd_cluster.adapters.datastate import read_state
from skd_cluster.adapters.journal import Journal, choose_sink
from skd_cluster.config.load import load
from skd_cluster.config.problems import Problem
from skd_cluster.config.schema import Config
from skd_cluster.core.messages import (
    Command,
    CommandResult,
    Data,
    ElectorReport,
    Floating,
    Health,
    Mastership,
    Message,
    Note,
    ReplicationReport,
    RoleChange,
    SyncNow,
)
from skd_cluster.core.model import ExitCode, Nanos, Role, Vip, nanos
from skd_cluster.core.status import Applied, Board, Snapshot
from skd_cluster.core.supervision import Liveness
from skd_cluster.processes.loop import Loop, watch_signals
from skd_cluster.processes.supervisor_checks import CheckRunner
from skd_cluster.processes.supervisor_children import Child, Keeper
from skd_cluster.processes.supervisor_control import Desk
from skd_cluster.processes.supervisor_floating import FloatingWatch
from skd_cluster.processes.supervisor_hooks import HookRunner
from skd_cluster.processes.supervisor_reload import CHECKS, FLOATING, HOOKS, REPLICATOR, compare
from skd_cluster.processes.supervisor_watch import MetricsKeeper, Watch
