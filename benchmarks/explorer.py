"""How long the explorer's pages take in a real browser: a run of 10,000 and of 100,000 events, and how it scrolls.

The store is made, `token-calc serve` runs in a process of its own, and an installed Chromium opens the page several
times. `paint_ms` is from the first byte of navigation until rows of the tree are on the screen, `server_cpu_ms` what
the server's process worked meanwhile, `browser_cpu_ms` what the page's main thread did. On a machine that does much
else at once the first says little: the other two together are what it would take on a free one. `frame_ms` are the
times between frames while the tree is scrolled from end to end, `frame_work_ms` what the page works for one.

    python -m benchmarks.explorer [--events N,N] [--rounds N] [--json]
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.common import Figure, median, percentile, show
from benchmarks.large_runs import write_run
from tc_core.store.storages import SQLiteStorage

AIMS_MS = {10_000: 1_000, 100_000: 2_000}
FRAME_AIM_MS = 25
FRAMES = 120
QUIET = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")

PAINTED = """() => new Promise((done) => {
  const look = () => document.querySelector('.tree .row') && document.querySelector('canvas')?.dataset.drawn
    ? requestAnimationFrame(() => setTimeout(() => done(performance.now()), 0)) : requestAnimationFrame(look);
  look();
})"""
SCROLL = """async (frames) => {
  const tree = document.querySelector('.tree');
  const took = [];
  let last = performance.now();
  for (let i = 0; i < frames; i++) {
    tree.scrollTop = (tree.scrollHeight - tree.clientHeight) * i / frames;
    await new Promise((next) => requestAnimationFrame(next));
    const now = performance.now();
    took.push(now - last);
    last = now;
  }
  return took;
}"""


def run(sizes: list[int], rounds: int, folder: Path) -> dict[str, Any]:
    """Make the stores and look at them."""
    from playwright.sync_api import sync_playwright

    rows = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_browser(), args=list(QUIET))
        for size in sizes:
            store = folder / f"run-{size}.db"
            with SQLiteStorage(store) as opened:
                write_run(opened, size)
            with _served(store) as (address, process):
                looked = [_look(browser, f"{address}run", process) for _ in range(rounds)]
            rows.append(_row(size, looked))
        browser.close()
    return {"benchmark": "explorer", "rows": rows}


def _look(browser: Any, address: str, process: int) -> Mapping[str, Any]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.set_default_timeout(120_000)
    metrics = context.new_cdp_session(page)
    metrics.send("Performance.enable")
    before = _cpu_ms(process)
    page.goto(address)
    painted = page.evaluate(PAINTED)
    worked = _worked_ms(metrics)
    found = {
        "paint_ms": painted,
        "server_cpu_ms": _cpu_ms(process) - before,
        "browser_cpu_ms": worked,
        "frames": page.evaluate(SCROLL, FRAMES)[1:],
        "frame_work_ms": (_worked_ms(metrics) - worked) / FRAMES,
        "rows_in_document": page.locator(".tree .row").count(),
        "bytes": page.evaluate(
            "performance.getEntriesByType('resource').reduce((sum, each) => sum + each.encodedBodySize, 0)"
        ),
    }
    context.close()
    return found


def _worked_ms(metrics: Any) -> float:
    """Return how long the page's main thread has worked."""
    found = {each["name"]: each["value"] for each in metrics.send("Performance.getMetrics")["metrics"]}
    return float(found["TaskDuration"]) * 1000


def _row(size: int, looked: list[Mapping[str, Any]]) -> dict[str, Any]:
    frames = [frame for each in looked for frame in each["frames"]]
    middle = {name: round(median([each[name] for each in looked]), 1) for name in looked[0] if name != "frames"}
    return {
        "events": size,
        **middle,
        "least_paint_ms": round(min(each["paint_ms"] for each in looked)),
        "frame_p50_ms": round(percentile(frames, 0.5), 1),
        "frame_p95_ms": round(percentile(frames, 0.95), 1),
    }


@contextmanager
def _served(store: Path) -> Iterator[tuple[str, int]]:
    command = [sys.executable, "-m", "tc_core.cli", "serve", "--no-open", "--port", "0", "--store", str(store)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline() if process.stdout else ""
        found = re.search(r"http://\S+", line)
        if found is None:
            raise RuntimeError(f"token-calc serve printed no address: {line!r}")
        yield found[0], process.pid
    finally:
        process.terminate()
        process.wait(20)
        if process.stdout:
            process.stdout.close()


def _cpu_ms(process: int) -> float:
    """Return how long a process has worked; 0 where the system does not tell."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")


def installed() -> str | None:
    """Return the path of a browser that is installed, or None."""
    return os.environ.get("TOKEN_CALC_TEST_BROWSER") or next(filter(None, map(shutil.which, BROWSERS)), None)


def _browser() -> str:
    found = installed()
    if found is None:
        raise SystemExit("No Chromium or Chrome was found: install one, or name it in TOKEN_CALC_TEST_BROWSER.")
    return found


def figures(result: Mapping[str, Any]) -> list[Figure]:
    """Return the lines for the table of all benchmarks."""
    found = []
    for row in result["rows"]:
        aim = AIMS_MS.get(row["events"])
        worked = row["server_cpu_ms"] + row["browser_cpu_ms"]
        found.append(
            Figure(
                f"explorer: first paint of a run of {row['events']:,} events",
                f"<= {aim / 1000:g} s" if aim else "",
                f"{row['paint_ms'] / 1000:.2f} s, of which {worked / 1000:.2f} s work",
            )
        )
        found.append(
            Figure(
                f"explorer: scrolling {row['events']:,} events, p95",
                f"<= {FRAME_AIM_MS} ms",
                f"{row['frame_p95_ms']} ms",
            )
        )
    return found


def main(arguments: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", default="10000,100000")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        result = run([int(each) for each in asked.events.split(",")], asked.rounds, Path(folder))
    show(result, result["rows"], as_json=asked.json)


if __name__ == "__main__":
    main()
