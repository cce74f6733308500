"""The steps that cases are made of."""

from conformance.steps import dispatcher, scheduler, testee
from conformance.steps.base import Step, parse

__all__ = ["Step", "dispatcher", "parse", "scheduler", "testee"]
