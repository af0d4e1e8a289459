"""Pictures of what pipelines look like: drawn by `egress preview` in a process of its own, kept by what they show."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import secrets
import sys
from pathlib import Path

from egress.model.errors import Fault, NoCapacity, RequestError
from egress.model.pipeline import Pipeline

WITHIN = 60.0
"""Seconds a picture may take."""

MOST_WAITING = 16
_KEPT = 200
_LONGEST_WORDS = 2000


class Previews:
    """One picture is drawn at a time, for drawing takes a core that jobs need; others wait, a few at most."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._turn = asyncio.Lock()
        self._waiting = 0

    async def picture(
        self,
        pipeline: Pipeline,
        assets: Path | None,
        *,
        participants: int,
        layout: str | None,
        theme: str | None,
        width: int,
    ) -> Path:
        """The picture of a pipeline; raises RequestError when it has none, NoCapacity when too many wait.

        `assets` is the folder that the pictures it names lie in.
        """
        if pipeline.video is None:
            raise RequestError("this pipeline has no picture", (("name", "has no picture"),))
        size = pipeline.video.size
        height = max(90, round(width * size.height / size.width / 2) * 2)
        # Where it writes is no part of the picture, and holds secrets; nor are the sizes it is offered in.
        look = pipeline.model_dump(mode="json", exclude={"sinks": True, "video": {"ladder"}}, exclude_unset=True)
        look |= {"name": pipeline.name, "sinks": [{"kind": "mp4", "to": "preview.mp4"}]}
        flags = [f"--participants={participants}", f"--size={width // 2 * 2}x{height}"]
        flags += [f"--layout={layout}"] if layout else []
        flags += [f"--theme={theme}"] if theme else []
        text = json.dumps(look, sort_keys=True)
        name = hashlib.sha256("\0".join((text, *flags, str(assets))).encode()).hexdigest()[:32]
        path = self._folder / f"{name}.png"
        if await asyncio.to_thread(path.is_file):
            return path
        if self._waiting >= MOST_WAITING:
            raise NoCapacity("too many pictures wait to be drawn; try again in a moment")
        self._waiting += 1
        try:
            async with self._turn:
                if not await asyncio.to_thread(path.is_file):
                    await self._draw(text, flags, assets, path)
        finally:
            self._waiting -= 1
        return path

    async def _draw(self, text: str, flags: list[str], assets: Path | None, path: Path) -> None:
        mark = secrets.token_hex(4)
        source, drawn = path.with_name(f"{path.stem}-{mark}.json"), path.with_name(f"{path.stem}-{mark}.png")
        await asyncio.to_thread(self._write, source, text)
        try:
            await self._run([str(source), f"--out={drawn}", *flags], assets)
            await asyncio.to_thread(self._keep, drawn, path)
        finally:
            source.unlink(missing_ok=True)
            drawn.unlink(missing_ok=True)

    async def _run(self, arguments: list[str], assets: Path | None) -> None:
        # Secrets of the service are none of its business.
        env = {name: value for name, value in os.environ.items() if not name.startswith("EGRESS_")}
        if assets is not None:
            env["EGRESS_ASSETS"] = str(assets)
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "egress.cli", "preview", *arguments,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
            env=env, cwd=self._folder, start_new_session=True,
        )  # fmt: skip
        try:
            async with asyncio.timeout(WITHIN):
                _, said = await process.communicate()
        except TimeoutError:
            raise Fault(f"the picture was not drawn within {WITHIN:g} s") from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        words = said.decode("utf-8", "replace").strip()[:_LONGEST_WORDS]
        if process.returncode == 2:
            what = words.rpartition("egress: ")[2] or "cannot be drawn"
            raise RequestError(f"the pipeline cannot be drawn: {what}", (("name", what),))
        if process.returncode != 0:
            raise Fault(f"egress preview ended with {process.returncode}: {words}")

    def _write(self, source: Path, text: str) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        source.write_text(text, "utf-8")

    def _keep(self, drawn: Path, path: Path) -> None:
        """Have it under its name, in the place of the oldest ones."""
        drawn.replace(path)
        kept = sorted(self._folder.glob("*.png"), key=lambda one: one.stat().st_mtime)
        for old in kept[:-_KEPT]:
            old.unlink(missing_ok=True)
