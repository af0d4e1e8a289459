from __future__ import annotations

import asyncio
import inspect
from importlib.metadata import version

import pytest
import uvloop
from aioice import stun
from aiortc import RTCCertificate, RTCDtlsTransport, RTCIceGatherer, RTCIceTransport

from egress.rooms import seam


async def test_every_private_name_the_seam_relies_on_is_there() -> None:
    assert version("aiortc").startswith("1.16.") and version("aioice").startswith("0.13.")
    gatherer = RTCIceGatherer(iceServers=[])
    ice = RTCIceTransport(gatherer)
    dtls = RTCDtlsTransport(ice, [RTCCertificate.generateCertificate()])
    instances = {type(thing): thing for thing in (gatherer, ice, dtls, ice._connection)}
    missing = []
    for owner, names in seam.PRIVATE.items():
        source = inspect.getsource(owner)
        missing += [
            f"{owner.__name__}.{name}"
            for name in names
            if not hasattr(instances.get(owner, owner), name)
            and f"{name}:" not in source
            and f"self.{name} " not in source
        ]
    assert missing == []
    assert list(inspect.signature(ice._connection.get_component_candidates).parameters)[:2] == [
        "component",
        "addresses",
    ]
    assert list(inspect.signature(ice._connection.build_request).parameters) == ["pair", "nominate"]
    assert list(inspect.signature(ice._connection.data_received).parameters) == ["data", "component"]
    await ice.stop()


class Side:
    """What one end of a connection hears."""

    def __init__(self) -> None:
        self.rtp: list[bytes] = []
        self.rtcp: list[bytes] = []
        self.states: list[str] = []
        self.transport = seam.SecureTransport(
            on_rtp=lambda data, arrived: self.rtp.append(data),
            on_rtcp=lambda data, arrived: self.rtcp.append(data),
            on_state=self.states.append,
        )


async def pair() -> tuple[Side, Side]:
    """Two seams connected to one another: one plays the offerer (ICE controlling, as if the other were lite)."""
    one, two = Side(), Side()
    first = await one.transport.gather(["1 1 udp 1 127.0.0.1 9 typ host"])
    second = await two.transport.gather(["1 1 udp 1 127.0.0.1 9 typ host"])
    for here, candidates in ((one, second), (two, first)):
        for candidate in candidates:
            await here.transport.add_candidate(candidate)
    ours, theirs = one.transport.credentials, two.transport.credentials
    await asyncio.gather(
        one.transport.connect(*theirs, True, two.transport.fingerprints, active=True),
        two.transport.connect(*ours, False, one.transport.fingerprints, active=False),
    )
    return one, two


async def until(true: object, seconds: float = 60) -> None:
    async with asyncio.timeout(seconds):
        while not true():  # type: ignore[operator]
            await asyncio.sleep(0.01)


async def test_two_ends_connect_send_and_notice_the_end() -> None:
    one, two = await pair()
    assert one.states[-1] == two.states[-1] == "connected"
    report = b"\x80\xc9\x00\x01\x00\x00\x00\x07"
    one.transport.send_rtcp(report)
    await until(lambda: two.rtcp == [report])
    await until(lambda: one.transport.rtt is not None)
    await one.transport.close()
    await until(lambda: two.states[-1] == "closed")
    await two.transport.close()
    assert one.transport.state == "closed"


async def test_datagrams_that_are_no_ones_are_counted_and_harm_nothing() -> None:
    one, two = await pair()
    port = two.transport._connection.local_candidates[-1].port
    loop = asyncio.get_running_loop()
    stranger, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=("127.0.0.1", port))
    for data in (
        b"",
        b"\xff",
        b"\x50abc",
        b"\x80",
        b"\x80\x60" + bytes(2000),
        b"\x80\xc8garbage",
        b"\x00",
        b"\x16\xfe\xfd",
    ):
        stranger.sendto(data)
    await until(lambda: two.transport.foreign == 2 and two.transport.unprotected == 3)
    one.transport.send_rtcp(b"\x80\xc9\x00\x01\x00\x00\x00\x07")
    await until(lambda: len(two.rtcp) == 1)
    stranger.close()
    await one.transport.close()
    await two.transport.close()


async def test_only_what_proves_itself_counts_as_heard() -> None:
    one, two = await pair()
    port = two.transport._connection.local_candidates[-1].port
    await until(lambda: one.transport.rtt is not None and two.transport.rtt is not None)
    before = two.transport.heard
    loop = asyncio.get_running_loop()
    stranger, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=("127.0.0.1", port))
    unsigned = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    signed = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    signed.attributes["USERNAME"] = two.transport.credentials[0] + ":" + one.transport.credentials[0]
    signed.add_message_integrity(b"a guess")
    stray = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE)
    dtls = b"\x16\xfe\xfd" + bytes(10)
    for data in (bytes(unsigned), bytes(signed), bytes(stray), dtls, b"\x80\x60" + bytes(60), b"\xff"):
        stranger.sendto(data)
    await until(lambda: two.transport.foreign == 1)
    assert two.transport.heard == before
    one.transport.send_rtcp(b"\x80\xc9\x00\x01\x00\x00\x00\x07")
    await until(lambda: two.transport.heard > before)
    before = two.transport.heard
    consent = one.transport._connection._nominated[1]
    await consent.protocol.request(
        one.transport._connection.build_request(consent, nominate=False),
        consent.remote_addr,
        integrity_key=one.transport._connection.remote_password.encode(),
    )
    assert two.transport.heard > before
    stranger.close()
    await one.transport.close()
    await two.transport.close()


async def test_loopback_is_offered_to_a_peer_on_this_machine_only() -> None:
    near, far = Side(), Side()
    hosts = [c.split()[4] for c in await near.transport.gather(["1 1 udp 1 127.0.0.1 9 typ host"])]
    assert "127.0.0.1" in hosts
    elsewhere = [c.split()[4] for c in await far.transport.gather(["1 1 udp 1 203.0.113.9 9 typ host"])]
    assert elsewhere == [host for host in hosts if host != "127.0.0.1"] or elsewhere == ["127.0.0.1"]
    await near.transport.close()
    await far.transport.close()


async def test_candidates_that_cannot_be_used_are_passed_over() -> None:
    side = Side()
    for text in ("", "nonsense", "1 1 tcp 1 192.0.2.1 9 typ host tcptype active", "1 1 udp x 192.0.2.1 9 typ host"):
        await side.transport.add_candidate(text)
    assert side.transport._connection.remote_candidates == []
    await side.transport.close()


@pytest.mark.parametrize("loop_kind", ["asyncio", "uvloop"])
def test_it_runs_on_either_loop(loop_kind: str) -> None:
    async def main() -> bool:
        one, two = await pair()
        one.transport.send_rtcp(b"\x80\xc9\x00\x01\x00\x00\x00\x07")
        await until(lambda: len(two.rtcp) == 1)
        await one.transport.close()
        await two.transport.close()
        return True

    if loop_kind == "uvloop":
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            assert runner.run(main())
    else:
        assert asyncio.run(main())
