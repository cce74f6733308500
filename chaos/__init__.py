"""Experiments that try to break Taskyard from outside, and the checks of what was seen meanwhile."""
