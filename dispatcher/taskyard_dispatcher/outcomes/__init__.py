"""What becomes of attempts once they are claimed: handed over, progressing, ended, lost, or found again.

Every way out of RUNNING passes through here, so a task's end is stored and told in one way.
"""
