"""skd-elector: puts the elector together from what the supervisor says, in real time, and runs it."""

import argparse
import os
import secrets
import select
from dataclasses import replace
from ipaddress import ip_address

from skd_cluster.adapters.channel import Channel, inherited
from skd_cluster.adapters.neighbours import open_neighbours
from skd_cluster.adapters.netlink import open_netlink
from skd_cluster.adapters.page import map_page
from skd_cluster.adapters.rawlink import open_raw_link
from skd_cluster.adapters.realtime import become_realtime, freeze_collector, measure_lateness
from skd_cluster.core import messages, wire
from skd_cluster.core.addresses import AddressKeeper
from skd_cluster.core.election import ElectionMachine
from skd_cluster.core.model import MILLISECOND, DataVersion, Nanos, seconds
from skd_cluster.core.neighbours import Neighbourhood
from skd_cluster.core.peer import PeerLink
from skd_cluster.core.standard import StandardElection
from skd_cluster.core.timers import keepable
from skd_cluster.processes.advertiser import Advertiser
from skd_cluster.processes.elector_loop import Elector, digest_bytes, floating_vips
from skd_cluster.processes.elector_settings import (
    MEASURED_BELOW,
    gateways,
    identity,
    paths,
    retune,
    voice,
    witnesses,
)
from skd_cluster.processes.holder import AddressHolder
from skd_cluster.processes.standardvoice import StandardVoice, path_of, speech_of
from skd_cluster.processes.voices import Voices
from skd_cluster.processes.watcher import NeighbourWatcher


def build(settings: messages.Settings, channel: Channel) -> Elector:
    """Put an elector together. Raises OSError where the host refuses sockets that nothing works without."""
    keeper = AddressKeeper(
        floating_vips(settings.vips), settings.vip_lease, settings.garp_count, Nanos(settings.garp_refresh)
    )
    local, remote = ip_address(settings.local_ip), ip_address(settings.remote_ip)
    link = PeerLink(local, remote, secrets.token_bytes(wire.SESSION_SIZE))
    native = Advertiser(voice(settings), link, map_page(settings.page), digest_bytes(settings.digest), paths(settings))
    machine, standard = _machine(settings, native)
    return Elector(
        settings=settings,
        channel=channel,
        retune=retune,
        machine=machine,
        voices=Voices(native, standard),
        holder=AddressHolder(keeper, open_netlink(), open_raw_link()),
        watcher=NeighbourWatcher(
            Neighbourhood(witnesses(settings), gateways(settings)),
            open_neighbours(os.getpid() & 0xFFFF),
            local,
        ),
    )


def _machine(
    settings: messages.Settings, native: Advertiser
) -> tuple[ElectionMachine, StandardVoice] | tuple[ElectionMachine, None]:
    """Return the machine, and what it speaks beside the native packets."""
    data = DataVersion(settings.data_epoch, settings.generation)
    speech = speech_of(settings)
    if speech is None:
        return ElectionMachine(identity(settings), settings.epoch, data, unshared=settings.unshared), None
    machine = StandardElection(
        identity(settings), settings.epoch, data, unshared=settings.unshared, dialect=speech.dialect
    )
    return machine, StandardVoice(machine, speech, path_of(settings), native)


def _first_settings(channel: Channel) -> messages.Settings | None:
    while not channel.closed:
        select.select((channel,), (), ())
        for message in channel.receive():
            if isinstance(message, messages.Settings):
                return message
    return None


def _keepable(settings: messages.Settings, channel: Channel) -> messages.Settings:
    """Raise an interval that this host was measured not to keep: a master that is always late would be taken for dead."""
    if settings.advert_interval >= MEASURED_BELOW:
        return settings
    interval, late = keepable(Nanos(settings.advert_interval), measure_lateness())
    if interval == settings.advert_interval:
        return settings
    text = (
        f"advert_interval {seconds(Nanos(settings.advert_interval)):g} is refused: this host wakes up "
        f"{late / MILLISECOND:.1f} ms late (p99 of 200); runs with {seconds(interval):g}"
    )
    channel.send(messages.Note("interval_refused", text, "warning"))
    return replace(settings, advert_interval=interval)


def main() -> int:
    """Run as `skd-elector --channel FD`, started by the supervisor only."""
    parser = argparse.ArgumentParser(prog="skd-elector", description="The election of skd-cluster; started by it.")
    parser.add_argument("--channel", type=int, required=True, help="descriptor of the socket to the supervisor")
    channel = inherited(parser.parse_args().channel)
    settings = _first_settings(channel)
    if settings is None:
        return os.EX_UNAVAILABLE
    refused = become_realtime()
    settings = _keepable(settings, channel)
    try:
        elector = build(settings, channel)
    except OSError as error:
        channel.send(messages.Note("elector_refused", f"the host refuses what the elector needs: {error}", "err"))
        return os.EX_OSERR
    if refused:
        channel.send(messages.Note("realtime_refused", f"works without {refused}: later under load", "warning"))
    elector.realtime = "scheduling" not in refused
    freeze_collector()
    elector.start()
    elector.run()
    return os.EX_OK


if __name__ == "__main__":
    raise SystemExit(main())
