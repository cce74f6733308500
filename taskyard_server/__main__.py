"""`python -m taskyard_server`: the same as `taskyard-server`."""

from taskyard_server.entry import main

if __name__ == "__main__":
    main()
