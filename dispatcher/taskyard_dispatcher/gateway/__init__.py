"""Where workers come in: streams, hellos, and what happens when a stream ends.

It reads and writes frames, and knows how much a worker may send. What a frame means for tasks is `outcomes`' to say.
"""
