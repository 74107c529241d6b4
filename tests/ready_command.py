"""The command `token-calc` in a process of its own, without its imports each time.

A process that has imported the command waits for arguments, and forks for each: the child has their folder and their
environment, ends as any program does, and has imported what the command imports at its start, and nothing else. What
Python itself reads when it starts would come too late there: `ReadyCommand.suits` tells.
"""

import gc
import importlib
import json
import os
import runpy
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent


class ReadyCommand:
    """A process that has imported the command."""

    def __init__(self):
        self._environment = _read_at_start(os.environ)
        self._start()

    def _start(self):
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.ready_command"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={name: value for name, value in os.environ.items() if not _is_read_at_start(name)} | self._environment,
            start_new_session=True,
        )

    def suits(self, environment):
        """Tell whether a process that starts with this environment would read there what this one has."""
        return _read_at_start(environment) == self._environment

    def run(self, arguments, *, folder, environment, printed, seconds):
        """Run the command in a child; return it as `subprocess.run` does. The folder `printed` keeps its output."""
        if self._process.poll() is not None:
            self._start()
        out, err = printed / "out", printed / "err"
        asked = [arguments, str(folder), environment, str(out), str(err)]
        print(json.dumps(asked), file=self._process.stdin, flush=True)
        if not select.select([self._process.stdout], [], [], seconds)[0]:
            os.killpg(self._process.pid, signal.SIGKILL)
            self.end()
            raise subprocess.TimeoutExpired(["token-calc", *arguments], seconds, out.read_bytes(), err.read_bytes())
        code = int(self._process.stdout.readline())
        return subprocess.CompletedProcess(["token-calc", *arguments], code, out.read_text(), err.read_text())

    def end(self):
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()


def _read_at_start(environment):
    return {name: value for name, value in environment.items() if _is_read_at_start(name)}


def _is_read_at_start(name):
    return name.startswith(("COVERAGE", "LANG", "LC_", "LD_", "PYTHON"))


def _serve():
    """Fork for each line; return in the child."""
    for line in iter(sys.stdin.readline, ""):
        child = os.fork()
        if child == 0:
            _begin(*json.loads(line))
            return
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
    sys.exit()


def _begin(arguments, folder, environment, out, err):
    """Have this child be as a process that starts."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    sys.argv = ["token-calc", *arguments]
    sys.path[0] = folder
    for place, number, flags in ((os.devnull, 0, os.O_RDONLY), (out, 1, os.O_WRONLY), (err, 2, os.O_WRONLY)):
        opened = os.open(place, flags | (os.O_CREAT | os.O_TRUNC if number else 0))
        os.dup2(opened, number)
        os.close(opened)
    sys.stdin = os.fdopen(0)  # without what was read ahead


if __name__ == "__main__":
    importlib.import_module("tc_core.cli.main")
    gc.collect()
    gc.freeze()  # else the first collection of each child would copy all of it
    _serve()
    runpy.run_module("tc_core.cli", run_name="__main__", alter_sys=True)
