from __future__ import annotations

import re

import pytest

from egress.model.errors import RequestError
from egress.model.media import Codec
from egress.rooms import negotiation, sdp

HEAD = [
    "v=0",
    "o=- 1 2 IN IP4 127.0.0.1",
    "s=-",
    "t=0 0",
    "a=group:BUNDLE {mids}",
    "a=fingerprint:sha-256 " + ":".join(["AB"] * 32),
]
PARTS = ["c=IN IP4 0.0.0.0", "a=ice-ufrag:abcd", "a=ice-pwd:" + "p" * 22, "a=setup:actpass", "a=rtcp-mux"]
AUDIO = ["m=audio 9 UDP/TLS/RTP/SAVPF 111", *PARTS, "a=mid:a", "a=sendonly", "a=rtpmap:111 opus/48000/2"]
VP8 = [
    "m=video 9 UDP/TLS/RTP/SAVPF 96 97",
    *PARTS,
    "a=mid:v",
    "a=sendonly",
    "a=rtcp-rsize",
    "a=rtpmap:96 VP8/90000",
    "a=rtcp-fb:96 nack",
    "a=rtcp-fb:96 nack pli",
    "a=rtcp-fb:96 goog-remb",
    "a=rtcp-fb:96 transport-cc",
    "a=rtpmap:97 rtx/90000",
    "a=fmtp:97 apt=96",
    "a=extmap:1 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
    "a=extmap:2 " + negotiation.TRANSPORT_CC,
    "a=extmap:4/sendonly " + negotiation.MID,
    "a=ssrc-group:FID 11 12",
    "a=ssrc:11 cname:x",
    "a=ssrc:12 cname:x",
    "a=candidate:1 1 udp 1 192.0.2.9 5000 typ host",
]
AV1 = ["m=video 9 UDP/TLS/RTP/SAVPF 45", *PARTS, "a=mid:w", "a=sendonly", "a=rtpmap:45 AV1/90000"]
DATA = ["m=application 9 UDP/DTLS/SCTP webrtc-datachannel", *PARTS, "a=mid:d", "a=sctp-port:5000"]


def offer(*sections: list[str], bundle: bool = True) -> str:
    mids = [next(line[6:] for line in section if line.startswith("a=mid:")) for section in sections]
    head = [line.format(mids=" ".join(mids)) for line in HEAD if bundle or "BUNDLE" not in line]
    return "\r\n".join([*head, *(line for section in sections for line in section)]) + "\r\n"


def answer(text: str) -> str:
    found = sdp.read(text)
    return negotiation.answer(
        found,
        negotiation.plan(found),
        ufrag="uuuu",
        pwd="q" * 22,
        fingerprints=[("sha-256", "CD:EF")],
        setup="active",
        candidates=["2 1 udp 1 127.0.0.1 6000 typ host"],
        session=1,
        version=1,
    )


def test_an_offer_is_read_whole() -> None:
    found = sdp.read(offer(AUDIO, VP8))
    audio, video = found.sections
    assert found.bundle == ("a", "v") and found.transport.ufrag == "abcd"
    assert found.transport.candidates == ("1 1 udp 1 192.0.2.9 5000 typ host",)
    assert audio.formats[111].codec is Codec.OPUS
    assert video.formats[97].repairs == 96 and video.repairs == {12: 11} and video.ssrcs == (11, 12)
    assert video.extensions[negotiation.MID] == 4


def test_the_answer_takes_what_we_can_receive_and_neither_remb_nor_abs_send_time() -> None:
    text = answer(offer(AUDIO, VP8))
    assert "m=video 9 UDP/TLS/RTP/SAVPF 96 97" in text and text.count("a=recvonly") == 2
    assert "nack pli" in text and "transport-cc" in text and "a=fmtp:97 apt=96" in text
    assert "remb" not in text and "abs-send-time" not in text
    assert "a=group:BUNDLE a v" in text and text.count("a=setup:active") == 2
    assert "stereo=1" in text and "useinbandfec=1" in text


def test_a_section_with_a_codec_we_lack_is_refused_and_the_others_go_on() -> None:
    text = answer(offer(AUDIO, AV1, VP8, DATA))
    assert re.findall(r"m=(\w+) (\d+)", text) == [("audio", "9"), ("video", "0"), ("video", "9"), ("application", "0")]
    assert "a=group:BUNDLE a v" in text
    refused = [p.refused for p in negotiation.plan(sdp.read(offer(AUDIO, AV1, VP8, DATA))) if p.refused]
    assert "AV1" in refused[0] and "w" in refused[0]


@pytest.mark.parametrize(
    ("parameters", "taken"),
    [
        ("profile-level-id=42e01f;packetization-mode=1", True),
        ("profile-level-id=42001f;packetization-mode=0", True),
        ("profile-level-id=4d001f", True),
        ("profile-level-id=58001f;packetization-mode=1", True),
        ("profile-level-id=640c2a;packetization-mode=1", True),
        ("PROFILE-LEVEL-ID=64001F; packetization-mode=1", True),
        ("", True),
        ("profile-level-id=f4001f;packetization-mode=1", False),
        ("profile-level-id=42e01f;packetization-mode=2", False),
    ],
)
def test_h264_is_taken_from_baseline_to_high_in_both_modes(parameters: str, taken: bool) -> None:
    section = [*VP8[:6], "a=rtcp-mux", "a=mid:v", "a=rtpmap:96 H264/90000", "a=rtpmap:97 rtx/90000", "a=fmtp:97 apt=96"]
    if parameters:
        section.append(f"a=fmtp:96 {parameters}")
    found = sdp.read(offer(AUDIO, section))
    assert (negotiation.plan(found)[1].refused == "") is taken


def test_h264_parameters_are_answered_as_offered() -> None:
    section = [
        *VP8[:6],
        "a=mid:v",
        "a=rtpmap:96 H264/90000",
        "a=fmtp:96 profile-level-id=640c1f;packetization-mode=1;sprop-parameter-sets=Z0I=,aM4=",
        "a=rtpmap:97 rtx/90000",
    ]
    text = answer(offer(section))
    assert "a=fmtp:96 profile-level-id=640c1f;packetization-mode=1" in text and "sprop" not in text


def test_directions_we_do_not_receive_on_are_answered_inactive() -> None:
    section = [line if line != "a=sendonly" else "a=recvonly" for line in AUDIO]
    text = answer(offer(section, VP8))
    assert "a=inactive" in text and text.count("a=recvonly") == 1


def test_a_disabled_section_is_refused_but_bundle_only_is_not() -> None:
    disabled = [VP8[0].replace(" 9 ", " 0 "), *VP8[1:]]
    assert negotiation.plan(sdp.read(offer(AUDIO, disabled)))[1].refused
    assert not negotiation.plan(sdp.read(offer(AUDIO, [*disabled, "a=bundle-only"])))[1].refused


def test_without_bundle_only_the_first_section_is_taken() -> None:
    plans = negotiation.plan(sdp.read(offer(AUDIO, VP8, bundle=False)))
    assert not plans[0].refused and "BUNDLE" in plans[1].refused
    assert "BUNDLE" not in answer(offer(AUDIO, VP8, bundle=False))


def test_simulcast_is_not_answered_so_that_one_layer_comes() -> None:
    text = answer(offer([*VP8, "a=rid:h send", "a=rid:l send", "a=simulcast:send h;l"]))
    assert "simulcast" not in text and "rid" not in text


def without(text: str, name: str) -> str:
    return "".join(line for line in text.splitlines(keepends=True) if name not in line)


GOOD = offer(AUDIO, VP8)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "v=0"),
        ("hello", "v=0"),
        ("<html>", "v=0"),
        ("v=0\r\n", "no m-line"),
        ("v=0\r\nm=audio\r\n", "malformed m-line"),
        (without(GOOD, "ice-ufrag"), "ICE"),
        (without(GOOD, "ice-pwd"), "ICE"),
        (without(GOOD, "fingerprint"), "fingerprint"),
        (without(GOOD, "rtcp-mux"), "rtcp-mux"),
        (GOOD.replace("sha-256", "md5"), "fingerprint"),
        (GOOD.replace("a=setup:actpass", "a=setup:holdconn"), "setup"),
        (GOOD[: GOOD.index("m=video")], "cut short"),
        (GOOD[: GOOD.index("a=rtpmap:97")], "cut short"),
        (GOOD[: GOOD.index("a=rtpmap:111") + 1], "cut short"),
        (GOOD.replace("a=mid:v", "a=mid:a").replace("BUNDLE a v", "BUNDLE a"), "one a=mid"),
        (GOOD.replace("SAVPF 96 97", "SAVPF 96 x"), "payload type"),
        (offer(AV1), "AV1"),
        (offer(DATA), "audio or video"),
        (offer(*([*AUDIO[:6], f"a=mid:{i}", *AUDIO[7:]] for i in range(129))), "128"),
        ("v=0\r\n" + "a=x\r\n" * 200_000, "longer"),
        (GOOD.replace("UDP/TLS/RTP/SAVPF", "RTP/AVP"), "DTLS"),
    ],
)
def test_a_bad_offer_is_refused_saying_what_is_wrong(text: str, says: str) -> None:
    with pytest.raises(RequestError, match=re.escape(says)) as caught:
        negotiation.plan(sdp.read(text))
    assert caught.value.problems[0][0] == "sdp"


@pytest.mark.parametrize("direction", ["recvonly", "inactive"])
def test_a_first_offer_has_to_send_something_and_a_later_one_may_pause(direction: str) -> None:
    quiet = sdp.read(offer([line for line in AUDIO if line != "a=sendonly"] + [f"a={direction}"]))
    with pytest.raises(RequestError, match="sends nothing"):
        negotiation.plan(quiet)
    assert not negotiation.plan(quiet, first=False)[0].receiving


def test_an_offer_of_nothing_but_foreign_codecs_is_refused_naming_ours() -> None:
    with pytest.raises(RequestError, match="VP8 or H264"):
        negotiation.plan(sdp.read(offer(AV1)))


def test_every_cut_of_an_offer_is_read_or_refused_but_never_fails_otherwise() -> None:
    for end in range(0, len(GOOD), 7):
        try:
            negotiation.plan(sdp.read(GOOD[:end]))
        except RequestError:
            continue


def test_sixty_sections_are_taken() -> None:
    many = offer(*([*AUDIO[:6], f"a=mid:{i}", *AUDIO[7:]] for i in range(60)))
    assert answer(many).count("a=recvonly") == 60
