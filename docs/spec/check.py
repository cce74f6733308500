"""Runs TLC on the model: within each bound it must hold, and without any one guard it must fail.

python docs/spec/check.py TLC_JAR [bounds] [guards]
"""

import re
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
MODEL = HERE / "Taskyard.tla"
GUARDS = HERE / "removed.toml"

_CHECKED = re.compile(r"^(?:INVARIANT|PROPERTY) (\w+)$", re.MULTILINE)
_STATES = re.compile(r"([\d,]+) distinct states found, 0 states left")
_TAKEN = re.compile(r"^<(\w+) line .*>: \d+:(\d+)$", re.MULTILINE)
_STEP = re.compile(r"^(?:State )?(\d+): <", re.MULTILINE)
_FAILED = re.compile(r"Error: (?:Invariant|Action property|Temporal properties)[^\n]* (?:is|were) violated")


class Answer(NamedTuple):
    """What TLC said."""

    text: str
    seconds: float

    @property
    def violated(self) -> bool:
        """It found a behaviour that it printed."""
        return bool(_FAILED.search(self.text)) and self.trace > 0

    @property
    def trace(self) -> int:
        """Steps of the behaviour that it printed."""
        return max(map(int, _STEP.findall(self.text)), default=0)

    @property
    def states(self) -> int | None:
        """Distinct states; None unless all were explored and nothing was wrong."""
        found = _STATES.findall(self.text)
        held = "Model checking completed. No error has been found." in self.text
        return int(found[-1].replace(",", "")) if found and held else None

    @property
    def taken(self) -> set[str]:
        """Actions that some behaviour takes."""
        return {name for name, times in _TAKEN.findall(self.text) if int(times)}


def changed(config: str, constants: Mapping[str, str]) -> str:
    """The configuration with other constants."""
    for name, value in constants.items():
        config, times = re.subn(
            rf"^    {name} = (\{{[^}}]*\}}|\S+)$", f"    {name} = {value}", config, flags=re.MULTILINE
        )
        assert times == 1, name
    return config


def checking(config: str, name: str) -> str:
    """The configuration with this property alone."""
    kept = [line for line in config.splitlines() if not (found := _CHECKED.match(line)) or found[1] == name]
    return "\n".join(kept)


def run(jar: Path, config: str) -> Answer:
    """One run of TLC, on one core."""
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "model.cfg"
        file.write_text(config)
        began = time.monotonic()
        java = ["java", "-XX:+UseParallelGC", "-XX:ParallelGCThreads=1", "-Xmx2g", f"-Djava.io.tmpdir={scratch}"]
        options = ["-cleanup", "-workers", "1", "-coverage", "60", "-metadir", scratch, "-config", str(file)]
        command = [*java, "-cp", str(jar.resolve()), "tlc2.TLC", *options, MODEL.name]
        done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=False)
        return Answer(done.stdout + done.stderr, time.monotonic() - began)


def bound(name: str) -> str:
    """A bound's configuration."""
    return (HERE / "bounds" / f"{name}.cfg").read_text()


def actions() -> set[str]:
    """The actions of the model: all that the next step may be."""
    text = MODEL.read_text()
    steps = re.findall(r"^(?:System|Environment) ==\n(.*?)\n\n", text, re.MULTILINE | re.DOTALL)
    return {word for step in steps for word in re.findall(r"\b[A-Z][A-Za-z]+\b", step)} - {"Dispatchers", "Workers"}


def hold(jar: Path) -> Iterable[str]:
    """Checks every bound; yields what is wrong."""
    taken: set[str] = set()
    for file in sorted((HERE / "bounds").glob("*.cfg")):
        answer = run(jar, file.read_text())
        taken |= answer.taken
        if answer.states is None:
            print(answer.text)
            yield f"the model does not hold within {file.stem}"
        else:
            print(f"{file.stem:24} holds   {answer.states:8} states {answer.seconds:6.0f} s", flush=True)
    if never := actions() - taken:
        yield f"no behaviour takes {', '.join(sorted(never))}"


def fail(jar: Path) -> Iterable[str]:
    """Takes each guard out; yields those that nothing misses."""
    for guard in tomllib.loads(GUARDS.read_text())["guard"]:
        constants = {**guard.get("change", {}), "Removed": f'{{"{guard["name"]}"}}'}
        answer = run(jar, checking(changed(bound(guard["bound"]), constants), guard["property"]))
        if not answer.violated:
            print(answer.text)
            yield f"without {guard['name']}, {guard['property']} still holds"
        else:
            shown = f"fails   {guard['property']:12} {answer.trace:3} steps {answer.seconds:6.0f} s"
            print(f"{guard['name']:24} {shown}", flush=True)


def main(jar: str, *wanted: str) -> int:
    """Prints a line for each run; 1 if one went otherwise than it must."""
    wrong: list[str] = []
    if not wanted or "bounds" in wanted:
        wrong += hold(Path(jar))
    if not wanted or "guards" in wanted:
        wrong += fail(Path(jar))
    for sentence in wrong:
        print(sentence, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
