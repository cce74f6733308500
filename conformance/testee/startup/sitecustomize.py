"""On the path of processes that a broken testee starts: they have the same broken SDK."""

import os

from conformance.testee.mutation import INHERITED, break_sdk

break_sdk(os.environ[INHERITED])
