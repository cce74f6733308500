"""Everything that a history holds about single tasks, in readable order."""

from collections.abc import Collection, Iterator, Mapping

from chaos.history.record import History


def stories(history: History, tasks: Collection[str]) -> Mapping[str, tuple[str, ...]]:
    """The story of each of these tasks, one line per event in order of time; one pass over the history."""
    found: dict[str, list[tuple[float, int, str]]] = {task: [] for task in tasks}
    for at, order, task, line in _lines(history, found):
        found[task].append((at, order, line))
    return {task: tuple(f"{at:10.3f} {line}" for at, _, line in sorted(lines)) for task, lines in found.items()}


def _lines(history: History, wanted: Mapping[str, object]) -> Iterator[tuple[float, int, str, str]]:
    for s in history.submits:
        if s.task and s.task in wanted:
            what = f"{s.client} submit key={s.key} request={s.request} {s.phase} (invoked {s.invoked:.3f})"
            yield (
                s.returned,
                0,
                s.task,
                f"{what} deduplicated" if s.deduplicated else f"{what} {s.error or ''}".rstrip(),
            )
    for c in history.calls:
        if c.task in wanted:
            said = f"{c.client} {c.verb} {c.phase} {c.state or c.error or ''} (invoked {c.invoked:.3f})"
            yield c.returned, 0, c.task, said
    for r in history.reads:
        if r.task in wanted:
            yield r.returned, 0, r.task, f"{r.client} read {r.state} attempt={r.attempt} (invoked {r.invoked:.3f})"
    for b in history.started:
        if b.task in wanted:
            yield b.at, 0, b.task, f"{b.worker} started attempt={b.attempt} session={b.session}"
    for e in history.ended:
        if e.task in wanted:
            said = f"{e.worker} ended attempt={e.attempt} {e.outcome} result={e.result} session={e.session}"
            yield e.at, 0, e.task, said
    for t in history.transitions:
        if t.task in wanted:
            said = f"#{t.seq} {t.old} -> {t.new} attempt={t.attempt} failures={t.failures} crashes={t.crashes}"
            extra = f"session={t.session} due={t.due:.3f} result={t.result} reason={t.reason} term={t.term}"
            flag = " cancel requested" if t.cancel_requested else ""
            yield t.at, t.seq, t.task, f"{said} {extra}{flag} by {t.application}"
