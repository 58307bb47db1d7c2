"""Tiny distributions that announce plugins, whole and broken, as wheels that pip installs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

GROUP = "sslplug.plugins"
PART = """
from sslplug.contracts import API, Component, Options, Plugin

class Nothing(Options):
    pass

PART = Component(Nothing, print, "One line.")
"""
WHOLE = """PLUGIN = Plugin(name={name!r}, api=API, summary="A stranger.", data={{"a": PART}}, views={{"a": PART}}, encoders={{"a": PART}},
    default_recipe="first", recipes={module!r})
"""


@dataclass(frozen=True)
class Stranger:
    """A distribution with one plugin.

    code    run when its module is imported, after PART and before the whole plugin
    plugin  the text that makes the plugin, with {name} and {module} filled in
    reason  what `sslplug plugins` must say is wrong with it; empty where it works
    """

    name: str
    code: str = ""
    reason: str = ""
    plugin: str = WHOLE
    distribution: str = ""
    value: str = ""
    recipe: bool = True

    @property
    def title(self) -> str:
        return self.distribution or f"stranger-{self.name}"

    @property
    def module(self) -> str:
        return re.sub(r"\W", "_", self.title)


def build(stranger: Stranger, folder: Path) -> Path:
    """A wheel, as a build backend makes it."""
    module, title = stranger.module, f"{stranger.module}-1.5"
    source = PART + textwrap.dedent(stranger.code) + "\n" + stranger.plugin.format(name=stranger.name, module=module)
    value = stranger.value or f"{module}:PLUGIN"
    files = {
        f"{module}/__init__.py": source,
        f"{title}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {stranger.title}\nVersion: 1.5\n",
        f"{title}.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{title}.dist-info/entry_points.txt": f"[{GROUP}]\n{stranger.name} = {value}\n",
    }
    if stranger.recipe:
        files[f"{module}/first.yaml"] = f"plugin: {stranger.name}\n"
    files[f"{title}.dist-info/RECORD"] = "".join(f"{name},,\n" for name in [*files, f"{title}.dist-info/RECORD"])
    wheel = folder / f"{title}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return wheel


def install(strangers: Iterable[Stranger], site: Path, folder: Path) -> None:
    """pip installs them all into ``site``; nothing is fetched."""
    folder.mkdir(parents=True, exist_ok=True)
    wheels = [str(build(stranger, folder)) for stranger in strangers]
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-index",
        "--no-deps",
        "--no-compile",
    ]
    subprocess.run([*command, "--target", str(site), *wheels], check=True, env={**os.environ, "PIP_CONFIG_FILE": os.devnull})


BROKEN = (
    Stranger("dependency", "import no_such_library", "its import failed with ModuleNotFoundError: No module named 'no_such_library'"),
    Stranger("older", "from sslplug.contracts import NoSuchWord", "its import failed with ImportError: cannot import name 'NoSuchWord'"),
    Stranger("syntax", "def broken(:", "its import failed with SyntaxError"),
    Stranger("leaves", "raise SystemExit(0)", "its import failed with SystemExit: 0"),
    Stranger("raises", "class Odd(BaseException): pass\nraise Odd('odd')", "its import failed with Odd: odd"),
    Stranger("recurses", "def f(): return f()\nf()", "its import failed with RecursionError"),
    Stranger("memory", "raise MemoryError", "its import failed with MemoryError"),
    Stranger("interrupts", "raise KeyboardInterrupt", "its import ended the whole process (exit code 0)"),
    Stranger("hangs", "import time\nwhile True: time.sleep(1)", "its import did not end within"),
    Stranger("exits", "import os\nos._exit(0)", "its import ended the whole process (exit code 0)"),
    Stranger("crashes", "import ctypes\nctypes.string_at(0)", "its import ended the whole process (signal SIGSEGV)"),
    Stranger("dies", "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", "its import ended the whole process (signal SIGKILL)"),
    Stranger("type", reason="it is a dict; expected a constant made by sslplug.contracts.Plugin(...)", plugin="PLUGIN = {{'name': {name!r}}}\n"),
    Stranger("argument", reason="its import failed with TypeError", plugin="PLUGIN = Plugin(name={name!r})\n"),
    Stranger("part", reason="it brings no encoders; expected at least one", plugin=WHOLE.replace('encoders={{"a": PART}}', "encoders={{}}")),
    Stranger("component", reason="its data['a'] is a int; expected a sslplug.contracts.Component", plugin=WHOLE.replace('data={{"a": PART}}', 'data={{"a": 3}}')),
    Stranger("api", reason="it was written for api 99, this sslplug has api 1", plugin=WHOLE.replace("api=API", "api=99")),
    Stranger("else", reason="it calls itself 'other'; expected Plugin(name='else')", plugin=WHOLE.replace("{name!r}", "'other'")),
    Stranger("attribute", reason="its import failed with AttributeError", plugin="OTHER = 1\n"),
    Stranger("recipes", reason="its default recipe 'first' is not among its recipes (none)", recipe=False),
    Stranger("folder", reason="its recipe folder 'no_such_folder' cannot be read", plugin=WHOLE.replace("{module!r}", "'no_such_folder'")),
    Stranger("value", reason="its entry point is 'stranger_value'; expected module:constant", value="stranger_value"),
    Stranger("prints", "print('hello, world')", "its import prints 'hello, world'; expected silence"),
    Stranger("writes", "import os\nos.write(1, b'from below')", "its import prints 'from below'; expected silence"),
    Stranger("doubles", "import torch\ntorch.set_default_dtype(torch.float64)", "its import changes torch's default type"),
    Stranger("threads", "import torch\ntorch.set_num_threads(torch.get_num_threads() + 1)", "its import changes torch's number of threads"),
    Stranger("gradients", "import torch\ntorch.set_grad_enabled(False)", "its import changes torch's gradient mode"),
    Stranger("signals", "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)", "its import changes the handlers of SIGINT and SIGTERM"),
    Stranger("moves", "import os\nos.chdir('/')", "its import changes the working directory"),
)  # fmt: skip
"""Each is broken in one way and must be refused for it."""
CLASHES = (
    Stranger("twice", distribution="first-twice"),
    Stranger("twice", distribution="second-twice"),
    Stranger("graph", distribution="stranger-graph"),
)
UNVERSIONED = Stranger("unversioned")
"""Its version is cut out of its METADATA once it is installed: pip itself installs no such distribution."""
SEEDS = Stranger("seeds", "import random, numpy, torch\nrandom.seed(1)\nnumpy.random.seed(1)\ntorch.manual_seed(1)\n")
WARNS = Stranger("warns", "import warnings\nwarnings.warn('old')\n")
TALKS = Stranger("talks", "import sys\nprint('to the side', file=sys.stderr)\n")
SLOW = Stranger("slow", "import time\ntime.sleep(2.1)\n")
WORKING = (Stranger("good"), SEEDS, WARNS, TALKS, SLOW)
"""These work, whatever they do beside it."""
