"""Where workers come in: hellos that become sessions, streams and what bounds them, and the grace once one has ended.

It reads and writes frames, and knows how much a worker may send. What a frame means for tasks is `outcomes`' to say.
"""
