"""Have a job start every night: keeps the schedule of nightly.json in a running service, however often it is run."""

from __future__ import annotations

import argparse
import json
import os
import sys
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx

DOCUMENT = Path(__file__).parent / "nightly.json"


def main() -> int:
    """Keep the schedule, and say when it fires."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--server", default=os.environ.get("EGRESS_SERVER", "http://127.0.0.1:8080"), help="the service"
    )
    parser.add_argument("--file", type=Path, default=DOCUMENT, help="the schedule, default: %(default)s")
    arguments = parser.parse_args()
    document: dict[str, Any] = json.loads(arguments.file.read_text("utf-8"))
    # A key is never an argument: every user of a machine may read the command lines of others.
    key = os.environ.get("EGRESS_API_KEY")
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    with httpx.Client(base_url=f"{arguments.server}/api/v1", headers=headers, timeout=30) as http:
        try:
            kept = keep(http, document)
        except httpx.TransportError as error:
            print(f"{arguments.server} cannot be reached ({error}); start `egress serve` first", file=sys.stderr)
            return 1
    if "code" in kept:
        print(f"refused: {kept['message']}", file=sys.stderr)
        return 2
    zone = ZoneInfo(kept["when"]["timezone"])
    print(f"{kept['id']}  {kept['name']}")
    for at in kept["next"]:
        print(f"  {datetime.fromisoformat(at).astimezone(zone):%a %Y-%m-%d %H:%M %Z}")
    return 0


def keep(http: httpx.Client, document: dict[str, Any]) -> dict[str, Any]:
    """The schedule as the service keeps it, or its refusal: put in the place of one of the same name, or made."""
    cursor: str | None = None
    while True:
        page = http.get("/schedules", params={"cursor": cursor} if cursor else {}).json()
        for one in page.get("items", ()):
            if one["name"] == document["name"]:
                return answer(http.put(f"/schedules/{one['id']}", json=document))
        cursor = page.get("next")
        if cursor is None:
            return answer(http.post("/schedules", json=document)) if "items" in page else page


def answer(response: httpx.Response) -> dict[str, Any]:
    """What the service says, good or bad: every refusal is {code, message, details, blame}."""
    body: dict[str, Any] = response.json()
    return body


if __name__ == "__main__":
    sys.exit(main())
