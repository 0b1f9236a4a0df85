"""A DBOS workflow of as many no-op steps as its argument says, each checkpointed in SQLite."""

import sys

from dbos import DBOS

DBOS(config={"name": "peer", "system_database_url": "sqlite:///dbos.sqlite", "log_level": "ERROR"})


@DBOS.step()
def one(number):
    return number


@DBOS.workflow()
def many(steps):
    for number in range(steps):
        one(number)


DBOS.launch()
many(int(sys.argv[1]))
DBOS.destroy()
