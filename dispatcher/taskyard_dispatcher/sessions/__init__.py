"""The sessions that this dispatcher holds, and the frames they speak.

The lowest room of the dispatcher: it knows nobody, and everybody asks it who may be given tasks.
"""
