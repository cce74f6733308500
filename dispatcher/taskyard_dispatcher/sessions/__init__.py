"""The sessions that this dispatcher holds, and the frames they speak: pure, nothing here waits or does I/O.

The lowest room of the dispatcher: it knows nobody, and everybody asks it who may be given tasks.
"""
