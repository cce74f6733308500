"""What a run says, line by line and at its end."""

from collections import Counter

from rich.console import Console

from conformance.runner import Outcome, Verdict
from conformance.sdks import Sdk

_COLOURS = {"passed": "green", "failed": "red", "error": "red", "skipped": "yellow", "known": "yellow"}


class Report:
    """Counts verdicts. `proving`: of broken SDKs, which must fail."""

    def __init__(self, sdk: Sdk, behaviours: dict[int, str], *, proving: bool, verbose: bool) -> None:
        self._sdk = sdk
        self._behaviours = behaviours
        self._proving = proving
        self._verbose = verbose
        self._console = Console(highlight=False, soft_wrap=True)
        self._counts: Counter[str] = Counter()
        self._shown: dict[int, set[str]] = {number: set() for number in behaviours}
        self._bad = 0

    def add(self, verdict: Verdict) -> None:
        """One more."""
        word, good = self._judged(verdict)
        self._bad += not good
        self._counts[word] += 1
        if verdict.case.shows in self._shown:
            self._shown[verdict.case.shows].add(word)
        name = f"{verdict.case.shows:>2}  {verdict.case.case}"
        if verdict.broken:
            name += f" without {verdict.broken}"
        told = f"  {verdict.told}" if verdict.told else ""
        self._console.print(f"[{_COLOURS[word]}]{word:8}[/] {name}", end="" if told else "\n")
        if told:
            self._console.print(told, markup=False)
        if self._verbose and not good and verdict.said:
            self._console.print(verdict.said, markup=False, style="dim")

    def _judged(self, verdict: Verdict) -> tuple[str, bool]:
        """The word for it, and whether it is as it should be."""
        if self._proving:
            caught = verdict.outcome is Outcome.FAILED
            return ("passed" if caught else "failed"), caught or verdict.outcome is Outcome.SKIPPED
        known = verdict.case.case in self._sdk.known_failures
        if known and verdict.outcome is Outcome.FAILED:
            return "known", True
        if known and verdict.outcome is Outcome.PASSED:
            return "error", False
        return verdict.outcome.value, verdict.outcome in (Outcome.PASSED, Outcome.SKIPPED)

    def finish(self, seconds: float) -> int:
        """The end; the exit code."""
        whole = sum(words == {"passed"} for words in self._shown.values())
        counts = ", ".join(f"{count} {word}" for word, count in sorted(self._counts.items()))
        what = "broken SDKs caught" if self._proving else f"{whole} of {len(self._shown)} behaviours whole"
        self._console.print(f"{counts}; {what}; {seconds:.0f} s")
        return 1 if self._bad else 0
