"""The commands around a service: what each takes on the command line; their modules are loaded when one runs."""

from __future__ import annotations

import argparse
import gc
from typing import Any


def add_service_commands(commands: Any) -> None:
    """Add `keys`, `jobs`, `schedule`, `templates` and `webhooks` to the command line."""
    _keys(commands)
    _jobs(commands)
    _schedule(commands)
    _templates(commands)
    _webhooks(commands)


def add_compose(commands: Any) -> None:
    """Add `compose` to the command line."""
    compose = commands.add_parser(
        "compose", help="make a programme of recorded tracks or media files, as fast as the machine allows"
    )
    compose.add_argument("source", metavar="MANIFEST|FOLDER", help="a job that kept its tracks, or media files")
    compose.add_argument("--out", required=True, metavar="FILE", help=".mp4, .m4a, .ogg, .mp3, .webm, or FOLDER/: HLS")
    compose.add_argument("--pipeline", default="record-grid", metavar="NAME|FILE", help="default: %(default)s")
    compose.add_argument("--layout", metavar="NAME", help="default: the pipeline's")
    compose.add_argument("--theme", choices=("dark", "light"), help="default: the pipeline's")
    compose.add_argument("--size", metavar="WxH", help="default: the pipeline's")
    compose.add_argument("--from", dest="begin", type=float, metavar="S", help="session time to begin at")
    compose.add_argument("--to", dest="end", type=float, metavar="S", help="session time to end at")
    compose.add_argument("--seconds", type=float, metavar="S", help="at most this much")
    compose.add_argument("--overwrite", action="store_true", help="replace what is there already")
    compose.add_argument("--json", action="store_true", help="print events as JSON lines")
    compose.add_argument("--config", metavar="FILE", help="settings file (EGRESS_CONFIG)")
    compose.set_defaults(run=_run_compose, spool=None)


def _keys(commands: Any) -> None:
    keys = commands.add_parser("keys", help="who may use the service: API keys in its database")
    actions = keys.add_subparsers(dest="action", required=True, metavar="add|list|revoke")
    add = actions.add_parser("add", help="make a key; it is printed once")
    add.add_argument("name", metavar="NAME", help="whose it is")
    add.add_argument("--scope", action="append", metavar="SCOPE", help="read, start, stop, admin; default: not admin")
    add.add_argument("--room", action="append", default=[], metavar="PATTERN", help="only rooms like local:team-*")
    add.add_argument("--for", dest="valid", metavar="TIME", help="like 720h; default: until it is revoked")
    revoke = actions.add_parser("revoke", help="end a key for good")
    revoke.add_argument("id", metavar="ID")
    for action in (add, actions.add_parser("list", help="all keys, without their secrets"), revoke):
        action.add_argument("--json", action="store_true", help="JSON lines")
        action.add_argument("--database", metavar="URL", help="the service's database (EGRESS_DATABASE)")
        action.add_argument("--spool", metavar="DIR", help="the service's spool (EGRESS_SPOOL)")
        action.add_argument("--config", metavar="FILE", help="settings file (EGRESS_CONFIG)")
    keys.set_defaults(run=_run_keys)


def _jobs(commands: Any) -> None:
    jobs = commands.add_parser("jobs", help="jobs of a running service")
    actions = jobs.add_subparsers(dest="action", required=True, metavar="start|list|show|watch|say|logs|stop|delete")
    start = actions.add_parser("start", help="start a job")
    start.add_argument("room", metavar="ROOM", help="an address, like local:standup or janus+ws://HOST:8188/1234")
    start.add_argument("--pipeline", metavar="NAME", help="a shipped pipeline, or one the service keeps")
    start.add_argument("--template", metavar="NAME", help="a template that says the rest")
    start.add_argument("--rtmp", action="append", default=[], metavar="URL|@FILE", help="also stream there")
    start.add_argument("--layout", metavar="NAME", help="default: the pipeline's")
    start.add_argument("--title", metavar="TEXT", help="a title in the picture")
    start.add_argument("--for", dest="duration", metavar="TIME", help="like 90m; default: the pipeline's rules")
    listed = actions.add_parser("list", help="jobs, the latest first")
    listed.add_argument("--state", metavar="STATE", help="like running, or several with commas between")
    listed.add_argument("--room", metavar="ROOM", help="only of this room")
    listed.add_argument("--limit", type=int, default=50, metavar="N", help="default: %(default)s")
    show = actions.add_parser("show", help="one job, and what it made")
    watch = actions.add_parser("watch", help="follow a job to its end, which is the exit status")
    say = actions.add_parser("say", help="a command to a running job")
    logs = actions.add_parser("logs", help="what its worker logged")
    logs.add_argument("--tail", type=int, default=1000, metavar="N", help="the last lines, default: %(default)s")
    stop = actions.add_parser("stop", help="end a job")
    delete = actions.add_parser("delete", help="forget a job that is over")
    delete.add_argument("--artifacts", action="store_true", help="take away what it made, too")
    for action in (show, watch, say, logs, stop, delete):
        action.add_argument("id", metavar="JOB")
    about = 'like pause, or {"command": "layout", "layout": "speaker"}; @FILE holds one, with a stream key for instance'
    say.add_argument("command", metavar="COMMAND|@FILE", help=about)
    stop.add_argument("--reason", default="asked to stop", metavar="TEXT", help="for the manifest")
    for action in (start, stop):
        action.add_argument("--watch", action="store_true", help="then follow it to its end")
    _server_flags(start, listed, show, watch, say, logs, stop, delete)
    jobs.set_defaults(run=_run_jobs)


def _schedule(commands: Any) -> None:
    schedule = commands.add_parser("schedule", help="jobs of a running service that start by the clock")
    actions = schedule.add_subparsers(dest="action", required=True, metavar="add|list|show|pause|resume|run|remove")
    add = actions.add_parser("add", help="keep a schedule")
    add.add_argument("name", metavar="NAME")
    add.add_argument("--room", required=True, metavar="ROOM")
    add.add_argument("--pipeline", metavar="NAME")
    when = add.add_mutually_exclusive_group(required=True)
    when.add_argument("--at", metavar="TIME", help="once, like 2026-12-24T18:00")
    when.add_argument("--every", metavar="TIME", help="like 30m, day or week")
    when.add_argument("--cron", metavar="LINE", help='five fields, like "0 18 * * mon-fri"')
    add.add_argument("--timezone", default="UTC", metavar="ZONE", help="like Europe/Berlin, default: %(default)s")
    add.add_argument("--for", dest="duration", metavar="TIME", help="planned length, like 90m")
    add.add_argument("--lead", metavar="TIME", help="start this much earlier")
    add.add_argument("--misfire", choices=("late", "skip"), help="after an outage, default: late")
    add.add_argument("--overlap", choices=("skip", "allow", "stop"), help="while its last job runs, default: skip")
    found = [add, actions.add_parser("list", help="all schedules")]
    for name, about in (
        ("show", "one schedule, and when it fired"),
        ("pause", "fire no more until it is resumed"),
        ("resume", "fire again"),
        ("run", "start its job now"),
        ("remove", "forget it"),
    ):
        action = actions.add_parser(name, help=about)
        action.add_argument("id", metavar="ID")
        found.append(action)
    _server_flags(*found)
    schedule.set_defaults(run=_run_schedule)


def _templates(commands: Any) -> None:
    templates = commands.add_parser("templates", help="what a running service does about rooms by itself")
    actions = templates.add_subparsers(dest="action", required=True, metavar="list|show|put|delete")
    put = actions.add_parser("put", help="keep a template, in place of the one of its name")
    put.add_argument("file", metavar="FILE", help="the template as YAML or JSON; - for standard input")
    put.add_argument("--name", metavar="NAME", help="default: the document's")
    put.add_argument("--version", type=int, metavar="N", help="only in place of this version; 0: only if there is none")
    show = actions.add_parser("show", help="one template, without its secrets")
    delete = actions.add_parser("delete", help="forget a template; its jobs go on")
    for action in (show, delete):
        action.add_argument("name", metavar="NAME")
    _server_flags(put, show, delete, actions.add_parser("list", help="all templates"))
    templates.set_defaults(run=_run_templates)


def _webhooks(commands: Any) -> None:
    webhooks = commands.add_parser("webhooks", help="whom a running service tells what happens")
    words = "list|show|add|put|delete|test|deliveries|replay"
    actions = webhooks.add_subparsers(dest="action", required=True, metavar=words)
    add = actions.add_parser("add", help="keep a webhook; the secret that signs is printed once")
    put = actions.add_parser("put", help="change a webhook")
    deliveries = actions.add_parser("deliveries", help="what it was told, or is to be, the latest first")
    replay = actions.add_parser("replay", help="send one again")
    found = [
        put,
        deliveries,
        replay,
        actions.add_parser("show", help="one webhook, without its secrets"),
        actions.add_parser("delete", help="forget a webhook, and what it was still to be told"),
        actions.add_parser("test", help="send it a test"),
    ]
    for action in found:
        action.add_argument("id", metavar="ID")
    for action in (add, put):
        action.add_argument("file", metavar="FILE", help="the webhook as YAML or JSON; - for standard input")
    deliveries.add_argument("--state", metavar="STATE", help="like failed, or several with commas between")
    deliveries.add_argument("--limit", type=int, default=50, metavar="N", help="default: %(default)s")
    replay.add_argument("delivery", metavar="DELIVERY", help="its id, as in deliveries")
    _server_flags(add, *found, actions.add_parser("list", help="all webhooks, the latest first"))
    webhooks.set_defaults(run=_run_webhooks)


def _server_flags(*parsers: argparse.ArgumentParser) -> None:
    for parser in parsers:
        parser.add_argument("--server", metavar="URL", help="the service (EGRESS_SERVER); its key: EGRESS_API_KEY")
        parser.add_argument("--json", action="store_true", help="JSON lines")
        parser.add_argument("--config", metavar="FILE", help="settings file (EGRESS_CONFIG)")
        parser.set_defaults(spool=None)


def _run_compose(arguments: argparse.Namespace) -> int:
    # Modules are objects by the hundred thousand, and hardly one of them is garbage to be looked for while they load.
    gc.disable()
    try:
        from egress.commands import compose

        return compose.run(arguments)
    finally:
        gc.enable()


def _run_keys(arguments: argparse.Namespace) -> int:
    from egress.commands import keys

    return keys.run(arguments)


def _run_jobs(arguments: argparse.Namespace) -> int:
    from egress.commands import jobs

    return jobs.run(arguments)


def _run_schedule(arguments: argparse.Namespace) -> int:
    from egress.commands import schedule

    return schedule.run(arguments)


def _run_templates(arguments: argparse.Namespace) -> int:
    from egress.commands import templates

    return templates.run(arguments)


def _run_webhooks(arguments: argparse.Namespace) -> int:
    from egress.commands import webhooks

    return webhooks.run(arguments)
