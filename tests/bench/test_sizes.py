"""The bench of sizes runs whole at small sizes, and its parts measure what they say."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest
from bench.sizes.bodies import KIB, MIB, completion, conversation, prompt
from bench.sizes.measuring import Beside, Sized
from bench.sizes.page import on_terminal
from bench.watched import Late, read_late, watch


@pytest.mark.parametrize("size", [4 * KIB, 64 * KIB, MIB])
def test_prompts_and_conversations_are_as_large_as_they_should_be_and_no_larger(size: int) -> None:
    for body in (prompt(size), conversation(size)):
        assert size * 0.99 < len(body) <= size
        assert json.loads(body)["model"] == "whole"
    assert 0.9 * size < len(completion(size)) < 1.1 * size


def test_no_two_turns_of_a_conversation_are_alike() -> None:
    said = [message["content"] for message in json.loads(conversation(MIB))["messages"]]
    assert len(said) > 400
    assert len(set(said)) == len(said)


def test_a_turn_that_comes_late_is_written_down_with_what_of_it_was_the_process_itself(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        watching = asyncio.create_task(watch(tmp_path / "late"))
        await asyncio.sleep(0)
        busy = time.process_time()
        while time.process_time() - busy < 0.05:
            sum(range(1000))
        await asyncio.sleep(0.01)
        watching.cancel()

    began = time.monotonic()
    asyncio.run(scenario())
    found = read_late(tmp_path / "late", began, time.monotonic())
    assert max(late.own for late in found) > 0.03
    assert read_late(tmp_path / "late", 0.0, began) == []
    assert read_late(tmp_path / "none", 0.0, began) == []
    assert Late(1.0, by=0.2, cpu=0.01).own == 0.01
    assert Late(1.0, by=0.2, cpu=0.3).own == 0.2


def _sized(size: int, cpu: float, own: float = 0.0) -> Sized:
    return Sized("prompt", size, p50=cpu, cpu=cpu, memory=0, late=own, own=own)


def test_what_grows_faster_than_its_size_and_what_keeps_others_waiting_misses_the_aim() -> None:
    straight = on_terminal([_sized(MIB, 0.1), _sized(8 * MIB, 0.8)], None)
    assert "missed" not in straight
    assert "1.00 times" in straight
    assert "**missed**: prompt: CPU a MiB" in on_terminal([_sized(MIB, 0.1), _sized(8 * MIB, 1.6)], None)
    assert "**missed**: no turn" in on_terminal([_sized(MIB, 0.1, own=0.06)], None)
    fair = Beside(10, 8 * MIB, [0.002], [0.004], seconds=1.0, memory=MIB, late=0.2, own=0.07)
    assert "**missed**: no turn" in on_terminal([_sized(MIB, 0.1)], fair)
    assert "2.0 times as long" in on_terminal([_sized(MIB, 0.1)], fair)


def test_sizes_are_measured_and_told_on_a_page(tmp_path: Path) -> None:
    page = tmp_path / "sizes.md"
    command = [sys.executable, "-m", "bench.sizes", "--size", "16", "--size", "64", "--times", "1"]
    command += ["--beside", "2", "--markdown", str(page)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    lines = [line.split("|")[1:3] for line in done.stdout.splitlines() if "KiB" in line and "|" in line]
    told = [[cell.strip() for cell in line] for line in lines]
    sizes = [[kind, size] for kind in ("prompt", "conversation", "answer") for size in ("16 KiB", "64 KiB")]
    assert told[: len(sizes)] == sizes
    assert "beside 2 of 64 KiB" in done.stdout
    assert "## Small ones beside large ones" in page.read_text()
    for name in ("time", "cpu"):
        assert f"](sizes-{name}.svg)" in page.read_text()
        ElementTree.parse(tmp_path / f"sizes-{name}.svg")
