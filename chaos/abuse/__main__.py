"""One abuser as a process: `python -m chaos.abuse NAME`; the target is in CHAOS_ABUSE_TARGET."""

import asyncio
import os
import resource
import sys

from chaos.abuse.registry import ABUSES
from chaos.abuse.target import Target


def main(name: str) -> None:
    """Abuse until the target's time is over."""
    # Whom it abuses shall have the processor first: it is about what requests cost, not about what clients cost.
    os.nice(10)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    asyncio.run(ABUSES[name].act(Target.from_environment()))


if __name__ == "__main__":
    main(sys.argv[1])
