"""Workers whose call for tasks is answered as soon as there are some.

An idle worker waits in its call. It costs no thread and no polling: a future in a list. While it
waits the open call is its sign of life, so that it need not beat. Who is there is looked through
in turn, once in a heartbeat, and a few are offered what takes others too long.
"""

import asyncio
import collections
import contextlib
import dataclasses
import itertools
import logging
import math
from typing import Any

from stillhouse.server.service import Service

# The longest that a call waits, in seconds; then it is made again, by which a worker that has gone
# unseen is found.
MOST_SECONDS = 120.0
_TICK_SECONDS = 0.1
# In a tick so many are asked for: an idle worker may compute once more what takes another too long.
_OFFERED = 4
# After so many who could have none of the tasks that wait, the others are asked a tick later.
_MOST_IN_VAIN = 64
# The share of a heartbeat in which all are heard of. They are lost after 1.75 of them.
_ROUND = 0.75

Answer = dict[str, Any]
_log = logging.getLogger(__name__)


@dataclasses.dataclass(eq=False)
class _Waiter:
    worker: str
    most: int
    answer: "asyncio.Future[Answer]"


class WaitingRoom:
    """Holds calls; all of it is for the thread of its event loop, save for `stir`.

    Args:
        service: answers the calls.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._loop = asyncio.get_running_loop()
        self._waiting: collections.OrderedDict[_Waiter, None] = collections.OrderedDict()
        self._latest: dict[str, _Waiter] = {}
        self._stirred = False
        self._ticking = self._loop.create_task(self._tick())
        service.on_work(self.stir)

    def __len__(self) -> int:
        return len(self._waiting)

    def close(self) -> None:
        """Hold nobody any more."""
        self._service.on_work(None)
        self._ticking.cancel()
        while self._waiting:
            waiter, _ = self._waiting.popitem()
            _say(waiter, _nothing())

    async def lease(self, worker: Any, most: Any, seconds: float) -> Answer:
        """Answer as `Service.lease`; where there is nothing to do, only after so many seconds."""
        if type(worker) is not str:
            return self._service.lease(worker, most)  # Which says what is wrong with it.
        waiter = _Waiter(worker, most, self._loop.create_future())
        if (cut_off := self._latest.get(worker)) is not None:
            # A worker waits once: its last call's connection is gone, and would swallow tasks.
            self._waiting.pop(cut_off, None)
            _say(cut_off, _nothing())
        self._latest[worker] = waiter
        # In the room before it asks: what comes while it asks finds it there.
        self._waiting[waiter] = None
        timer = self._loop.call_later(min(seconds, MOST_SECONDS), _say, waiter, _nothing())
        try:
            answer = self._service.lease(worker, most)
            return answer if _says_something(answer) else await waiter.answer
        finally:
            timer.cancel()
            self._waiting.pop(waiter, None)
            if self._latest.get(worker) is waiter:
                del self._latest[worker]

    def stir(self) -> None:
        """Let those who wait have what there is; from any thread, and under any lock."""
        if self._waiting and not self._stirred:
            self._stirred = True
            with contextlib.suppress(RuntimeError):  # The loop has ended.
                self._loop.call_soon_threadsafe(self._hand_out)

    def _hand_out(self) -> None:
        self._stirred = False
        in_vain = 0
        # Those that came last first: they still hold the images of what they computed last.
        for waiter in reversed(list(self._waiting)):
            in_vain += not self._offer(waiter, again=False)
            # Where tasks are left that some may not have, as they failed there, others may.
            if in_vain and (in_vain > _MOST_IN_VAIN or not self._service.has_news):
                return

    def _offer(self, waiter: _Waiter, *, again: bool = True) -> bool:
        """Ask for one who waits, and return whether there was an answer for it.

        Args:
            waiter: who.
            again: whether it is among the first to be asked when there is more.
        """
        if waiter.answer.done():
            return True
        answer = self._service.lease(waiter.worker, waiter.most)
        if not _says_something(answer):
            self._waiting.move_to_end(waiter, last=again)
            return False
        self._waiting.pop(waiter, None)
        _say(waiter, answer)
        return True

    async def _tick(self) -> None:
        last = self._loop.time()
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            # By the time that went by: a busy loop is late, and nobody is to be taken for lost.
            now = self._loop.time()
            seconds, last = now - last, now
            try:
                self._look_after(seconds)
            except Exception:  # A mistake of ours costs a look, and no worker its life.
                _log.exception("looking after idle workers failed")

    def _look_after(self, seconds: float) -> None:
        """Hear those whose turn has come since, and offer the first of them what is late."""
        if self._waiting:
            share = seconds / (_ROUND * self._service.heartbeat_seconds)
            turn = list(itertools.islice(self._waiting, math.ceil(len(self._waiting) * share)))
            for waiter in turn[:_OFFERED]:
                self._offer(waiter)
            self._hear(turn[_OFFERED:])

    def _hear(self, waiters: list[_Waiter]) -> None:
        # Set aside, or forgotten, or the run is over.
        to_answer = {*self._service.hear([waiter.worker for waiter in waiters])}
        for waiter in waiters:
            if waiter.worker in to_answer or self._service.has_news:
                self._offer(waiter)
            elif waiter in self._waiting:
                self._waiting.move_to_end(waiter)


def _nothing() -> Answer:
    return {"status": "ok", "tasks": [], "wait": 0.0}


def _says_something(answer: Answer) -> bool:
    return answer["status"] != "ok" or bool(answer["tasks"])


def _say(waiter: _Waiter, answer: Answer) -> None:
    if not waiter.answer.done():
        waiter.answer.set_result(answer)
