import logging

from stillhouse.server.bounded_log import BoundedLog
from stillhouse.server.leases import Event


def told(caplog):
    return [record.getMessage() for record in caplog.records]


def test_500_workers_that_come_at_once_take_few_lines(caplog):
    caplog.set_level(logging.INFO)
    log = BoundedLog(logging.getLogger("test"))
    for number in range(500):
        log.tell([Event("joined", f"w{number} has joined")], number / 1000)
    log.tell([Event("lost", "w3 is lost")], 1.0)
    assert len(told(caplog)) == 21 and told(caplog)[-1] == "w3 is lost"
    log.tell([], 11.0)
    assert told(caplog)[-1] == "480 more lines of this kind (joined), the last: w499 has joined"
    # It begins anew.
    log.tell([Event("joined", "w500 has joined")], 12.0)
    assert told(caplog)[-1] == "w500 has joined"


def test_what_is_left_is_said_at_the_end_and_trouble_is_a_warning(caplog):
    log = BoundedLog(logging.getLogger("test"))
    log.tell([Event("failed", f"task {number}") for number in range(22)], 0.0)
    log.close()
    assert told(caplog)[-1] == "2 more lines of this kind (failed), the last: task 21"
    assert {record.levelname for record in caplog.records} == {"WARNING"}
    assert len(told(caplog)) == 21
