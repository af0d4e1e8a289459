"""The `egress` command: record, serve, demo, preview, compose, check, doctor, recover. Each imports what it needs."""

from __future__ import annotations

import argparse
import atexit
import gc
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from egress import __version__
from egress.model.errors import EgressError, RequestError

DONE, FAILED, BAD_INPUT = 0, 1, 2


_CONTROL = """\
commands taken with --control, each answered by an event (on a line of its own without --json):
  {"command": "layout", "layout": "speaker"}           a layout's name, or its document as in a pipeline
  {"command": "theme", "theme": "light"}               likewise tiles and overlays, as in a pipeline
  {"command": "overlay", "overlay": {"id": "logo", "kind": "image", "image": "logo.png"}}
  {"command": "remove-overlay", "overlay": "logo"}
  {"command": "title", "text": "Questions"}            empty text takes the title away
  {"command": "pin", "peers": ["Ada"]}                 likewise hide and show; {"command": "unpin"}
  {"command": "pause"}                                 {"command": "resume"}: the MP4 leaves out what is between
  {"command": "add-destination", "to": "rtmp://host/app/key", "name": "main"}     one more stream, from here on
  {"command": "remove-destination", "destination": "main"}
  {"command": "mark", "text": "Vote"}                  a chapter
  {"command": "stop", "reason": "the talk is over"}
"id": a number or text of yours in any of them comes back with the answer."""


_SERVE = """\
Ctrl-C stops all jobs cleanly and ends; once more ends at once and leaves them running for the next `egress serve`.
SIGTERM takes no more jobs, waits for those that run (EGRESS_DRAIN), and leaves the rest running as well.
A database address with a password belongs into EGRESS_DATABASE: command lines are there for every user to read."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit status: 0 done, 1 failed, 2 bad input."""
    # numpy's OpenBLAS would start threads that wait by spinning, 0.1 s of CPU each time, with nothing to do for them.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # What is there at the end the system takes back; to look through half a million objects first takes 0.1 s of CPU.
    atexit.register(gc.freeze)
    arguments = _parser().parse_args(argv)
    try:
        status: int = arguments.run(arguments)
        return status
    except RequestError as error:
        print(f"egress: {error.message}", file=sys.stderr)
        return BAD_INPUT
    except EgressError as error:
        print(f"egress: {error.message} (fault of: {error.blame})", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read our output has gone, as `head` does; Python must not complain about it once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="egress", description="Record and stream live WebRTC rooms.")
    parser.add_argument("--version", action="version", version=f"egress {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    record = commands.add_parser(
        "record",
        help="run one job in the foreground; Ctrl-C ends it cleanly",
        epilog=_CONTROL,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    record.add_argument("room", metavar="ROOM", help="address of the room, e.g. local:standup")
    record.add_argument("--pipeline", default="record-grid", metavar="NAME|FILE", help="default: %(default)s")
    record.add_argument("--to", type=_folder, default=Path(), metavar="DIR", help="output folder, default: here")
    record.add_argument("--seconds", type=float, metavar="N", help="end after this much")
    record.add_argument(
        "--listen",
        metavar="HOST:PORT",
        help="where publishers come in and viewers watch, default for local rooms: 127.0.0.1:8080",
    )
    record.add_argument("--overwrite", action="store_true", help="replace outputs that are there already")
    record.add_argument(
        "--control",
        action="store_true",
        help="obey commands on standard input while the job runs, one line of JSON each; see below",
    )
    _job_flags(record)
    record.set_defaults(run=_record)

    serve = commands.add_parser(
        "serve",
        help="run as a service: an API and a dashboard to start, watch and schedule jobs",
        epilog=_SERVE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    serve.add_argument("--listen", metavar="HOST:PORT", help="default: 127.0.0.1:8080 (EGRESS_LISTEN)")
    serve.add_argument("--database", metavar="URL", help="default: a file in the spool (EGRESS_DATABASE)")
    serve.add_argument("--advertise", metavar="URL", help="where people reach this server (EGRESS_ADVERTISE)")
    serve.add_argument("--to", type=_folder, default=Path(), metavar="DIR", help="output folder, default: here")
    serve.add_argument("--json", action="store_true", help="say where it listens as a JSON line")
    _settings_flags(serve)
    serve.set_defaults(run=_serve)

    demo = commands.add_parser("demo", help="synthetic participants in a local room, recorded for real")
    demo.add_argument("--participants", type=int, default=4, metavar="N", help="default: %(default)s")
    demo.add_argument("--seconds", type=float, default=20, metavar="S", help="default: %(default)s")
    demo.add_argument("--out", type=_folder, default=Path("egress-demo"), metavar="DIR", help="default: %(default)s")
    demo.add_argument("--layout", metavar="NAME", help="default: the pipeline's")
    demo.add_argument("--pipeline", default="live-hls", metavar="NAME", help="default: %(default)s")
    demo.add_argument("--codec", choices=("vp8", "h264"), default="vp8", help="what participants send")
    demo.add_argument("--serve", action="store_true", help="keep a page up that plays the HLS")
    demo.add_argument("--listen", metavar="HOST:PORT", help="where to serve, default: 127.0.0.1:8080 with --serve")
    demo.add_argument("--overwrite", action="store_true", help="replace outputs that no demo has made")
    _job_flags(demo)
    demo.set_defaults(run=_demo)

    preview = commands.add_parser("preview", help="a picture or clip of what a pipeline looks like, without any room")
    preview.add_argument("pipeline", metavar="NAME|FILE", help="a pipeline")
    preview.add_argument("--out", required=True, metavar="FILE", help="a .png, .jpg or .webp picture, or an .mp4 clip")
    preview.add_argument("--participants", type=int, metavar="N", help="made-up people, default: 4, or the script's")
    preview.add_argument("--names", choices=("plain", "varied"), default="plain", help="varied: long, of many scripts")
    preview.add_argument("--screen", action="store_true", help="somebody shares a screen")
    preview.add_argument("--script", metavar="FILE", help="who comes, speaks and goes when, as YAML")
    preview.add_argument("--at", type=float, metavar="S", help="when a picture is taken, default: once all is settled")
    preview.add_argument("--seconds", type=float, metavar="S", help="length of a clip, default: 5, or the script's")
    preview.add_argument("--size", metavar="WxH", help="default: the pipeline's")
    preview.add_argument("--layout", metavar="NAME", help="default: the pipeline's")
    preview.add_argument("--theme", choices=("dark", "light"), help="default: the pipeline's")
    preview.add_argument("--overwrite", action="store_true", help="replace a file that is there already")
    preview.add_argument("--config", metavar="FILE", help="settings file (EGRESS_CONFIG)")
    preview.set_defaults(run=_preview, spool=None)

    from egress.commands import parsers

    parsers.add_compose(commands)

    check = commands.add_parser("check", help="validate a pipeline document and list all its problems")
    check.add_argument("file", metavar="FILE")
    check.set_defaults(run=_check)

    doctor = commands.add_parser("doctor", help="what this machine has, and what is missing for what")
    doctor.add_argument("--json", action="store_true", help="one JSON document")
    _settings_flags(doctor)
    doctor.set_defaults(run=_doctor)

    token = commands.add_parser("token", help="make a token for somebody who may watch")
    token.add_argument("kind", choices=("playback",), metavar="playback", help="what it is for")
    token.add_argument("name", metavar="NAME", help="the stream, as in /live/NAME/")
    token.add_argument("--for", dest="valid", default="1h", metavar="TIME", help="like 90m, default: %(default)s")
    token.add_argument("--config", metavar="FILE", help="settings file (EGRESS_CONFIG)")
    token.set_defaults(run=_token, spool=None)

    parsers.add_service_commands(commands)

    recover = commands.add_parser("recover", help="finish what died workers left in the spool")
    recover.add_argument("where", nargs="?", type=_folder, metavar="SPOOL", help="the spool, or one job's folder in it")
    recover.add_argument("--json", action="store_true", help="one JSON line a job")
    _settings_flags(recover)
    recover.set_defaults(run=_recover)
    return parser


def _folder(text: str) -> Path:
    if not text:
        raise argparse.ArgumentTypeError("is empty; name a folder, . for this one")
    return Path(text)


def _job_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--rtmp",
        action="append",
        default=[],
        metavar="URL|@FILE",
        help="also stream there (rtmp, rtmps, srt, youtube://KEY...); @FILE holds one address a line",
    )
    parser.add_argument("--json", action="store_true", help="print every event as a JSON line")
    _settings_flags(parser)


def _settings_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--spool", metavar="DIR", help="where unfinished jobs live (EGRESS_SPOOL)")
    parser.add_argument("--config", metavar="FILE", help="settings file (EGRESS_CONFIG)")


def _record(arguments: argparse.Namespace) -> int:
    from egress.commands import record

    return record.run(arguments)


def _serve(arguments: argparse.Namespace) -> int:
    from egress.commands import serve

    return serve.run(arguments)


def _demo(arguments: argparse.Namespace) -> int:
    from egress.commands import demo

    return demo.run(arguments)


def _preview(arguments: argparse.Namespace) -> int:
    from egress.commands import preview

    return preview.run(arguments)


def _token(arguments: argparse.Namespace) -> int:
    from egress.commands import token

    return token.run(arguments)


def _check(arguments: argparse.Namespace) -> int:
    from egress import pipelines
    from egress.model.providers import cautions
    from egress.model.settings import Settings

    pipeline = pipelines.check(Path(arguments.file), Settings.load().assets)
    print(pipelines.describe(pipeline))
    for text in cautions(pipeline):
        print(f"warning: {text}", file=sys.stderr)
    return DONE


def _doctor(arguments: argparse.Namespace) -> int:
    from egress import doctor
    from egress.commands.common import settings_of

    settings = settings_of(arguments)
    database = settings.database.reveal() if settings.database else None
    findings = doctor.examine(Path(settings.spool), settings.ffmpeg, database)
    print(doctor.as_json(findings) if arguments.json else doctor.as_text(findings))
    return DONE if all(finding.ok for finding in findings) else FAILED


def _recover(arguments: argparse.Namespace) -> int:
    from egress.commands.common import settings_of
    from egress.recovery import recover, recover_folder
    from egress.storage.manifest import artifact_row
    from egress.storage.spool import JobFolder, Spool

    settings = settings_of(arguments)
    root, told = arguments.where or Path(settings.spool), settings.storage_options()
    if not root.is_dir() and (arguments.where is not None or root.exists()):
        wrong = f"{root} is not a folder; name one, or leave it out for the default"
        raise RequestError(f"spool {wrong}", (("spool", wrong),))
    failed = False
    found = False
    one = JobFolder(root.absolute())
    jobs = recover_folder(one, told) if one.document.is_file() else recover(Spool(root.absolute()), told)
    for job in jobs:
        found = True
        failed = failed or bool(job.problems)
        rows = [artifact_row(artifact) for artifact in job.artifacts]
        if arguments.json:
            line = {"job": job.job, "artifacts": rows, "manifest": job.manifest, "problems": job.problems}
            print(json.dumps(line))
            continue
        print(f"{job.job}: {'recovered' if not job.problems else 'NOT recovered whole'}")
        for row in rows:
            print(f"  {row['kind']}  {row['duration']:.1f} s  {row['location']}")
        for problem in job.problems:
            print(f"  problem: {problem}")
    if not found and not arguments.json:
        print(f"nothing to recover in {root}")
    return FAILED if failed else DONE


if __name__ == "__main__":
    sys.exit(main())
