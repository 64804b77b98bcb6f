"""Whatever happens, in whichever order: every task is done once, and they leave in order."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from stillhouse.server.leases import TaskRecord, WorkerInfo
from stillhouse.server.scheduler import Scheduler

HEARTBEAT = 3.0


class World:
    """A scheduler, and workers of whom each knows only what it was told."""

    def __init__(self):
        self.seconds = 50.0
        # Nothing is given up here: that a run stops is another test's matter.
        self.scheduler = Scheduler(
            lambda: self.seconds,
            heartbeat=HEARTBEAT,
            max_failures=10**6,
            alone_seconds=float("inf"),
            max_losses=10**6,
        )
        self.order, self.waiting, self.gathered, self.accepted = [], [], [], []
        self.failed = set()
        self.workers = {}  # what each thinks it holds, those that were lost included
        self.happened = set()

    def step(self, seed):
        """Something happens; to whom and how is all in the seed."""
        rng = random.Random(seed)
        action = rng.choices(list(ACTIONS), ACTIONS.values())[0]
        # Mostly one of the last to come, who are likely to be there.
        workers = list(self.workers)[-rng.choice([3, 3, 3, 99]) :]
        action(self, rng, rng.choice(workers) if workers else self.join(rng, None))
        self.check()

    def submit(self, rng, _):
        if len(self.waiting) > 8:
            return  # So that workers run out of tasks, now and then.
        records = [TaskRecord(rng.randint(1, 3), (f"b{rng.randint(1, 3)}",)) for _ in range(4)]
        ids = self.scheduler.submit(records)
        assert not set(ids) & set(self.order)
        self.order += ids
        self.waiting += ids

    def join(self, rng, _):
        worker = self.scheduler.register(WorkerInfo())
        assert worker not in self.workers
        self.workers[worker] = []
        return worker

    def lease(self, rng, worker):
        most = rng.randint(0, 3)
        lent = self.scheduler.lease(worker, most)
        assert len(lent) <= most and len(set(lent)) == len(lent)
        live = {w.id for w in self.scheduler.roster.present() if w.state == "live"}
        for id in lent:
            assert id in self.waiting and id not in self.accepted
            untried = live - {other for other, task in self.failed if task == id}
            assert (worker, id) not in self.failed or not untried
        if rng.random() < 0.9:  # Else the answer never arrives.
            self.workers[worker] += lent

    def complete(self, rng, worker):
        if not self.workers[worker]:
            return
        id = rng.choice(self.workers[worker])
        for _ in range(rng.choice([1, 1, 1, 2])):
            said = self.scheduler.complete(worker, id, (id, worker))
            if said == "first":
                assert id not in self.accepted
                self.accepted.append(id)
            elif said == "duplicate":
                assert id in self.accepted
            there = self.scheduler.roster.get(worker)
            self.happened.add(f"{said} of {there.state if there else 'lost'}")
        self.workers[worker].remove(id)

    def fail(self, rng, worker):
        if not self.workers[worker]:
            return
        id = rng.choice(self.workers[worker])
        holds = self.holds(worker, id)
        how = rng.choice([self.scheduler.reject, self.scheduler.fail])
        how(worker, id, "so it goes", rng.choice(["memory", "other"]))
        if holds:
            self.failed.add((worker, id))
        self.workers[worker].remove(id)

    def beat(self, rng, worker):
        named = [*self.workers[worker], *rng.choice([[], ["nonsense"]])]
        revoked = self.scheduler.renew(worker, named)
        assert set(revoked) <= set(named)
        assert all(self.holds(worker, id) for id in named if id not in revoked)
        if rng.random() < 0.9:
            self.workers[worker] = [id for id in self.workers[worker] if id not in revoked]

    def go(self, rng, worker):
        how = rng.choice(["leave", "lose", "vanish"])
        if how == "leave":
            self.scheduler.leave(worker)
        elif how == "lose":
            self.scheduler.worker_lost(worker, "a test said so")
        if rng.random() < 0.5:  # Else it may still think that it is there.
            del self.workers[worker]

    def wait(self, rng, _):
        """Time passes, and most workers say that they are there."""
        self.seconds += rng.uniform(0, HEARTBEAT)
        for worker in rng.sample(list(self.workers), len(self.workers) * 9 // 10):
            self.beat(rng, worker)
        self.tick()

    def jump(self, rng, _):
        """The clock is set, or everybody slept."""
        self.seconds += rng.uniform(-100, 100)
        self.tick()

    def tick(self):
        self.happened.update(event.kind for event in self.scheduler.tick())

    def gather(self, rng, _):
        for id, _ in self.scheduler.gather(self.waiting):
            assert id == self.waiting.pop(0)
            self.gathered.append(id)

    def check(self):
        """Every task is in one place."""
        counts, present = self.scheduler.counts(), self.scheduler.roster.present()
        lent = {id for worker in present for id in worker.held}
        unfinished = set(self.waiting) - set(self.accepted)
        assert lent <= unfinished
        assert counts["queued"] == len(unfinished - lent)
        assert counts["leased"] <= 4 * len(lent)
        assert counts["done"] == len(self.accepted) == len(set(self.accepted))
        assert self.scheduler.failure(self.waiting) is None
        live = [worker for worker in present if worker.state == "live"]
        assert self.scheduler.roster.live == len(live)
        assert all(len(w.held) <= 8 and w.seen <= self.scheduler.now for w in live)

    def finish(self):
        """From any state, one good worker that stays does all that is left."""
        good = self.join(None, None)
        for _ in range(10 * len(self.order) + 10):
            self.seconds += HEARTBEAT / 2
            self.tick()
            held = self.scheduler.lease(good, 2)
            assert self.scheduler.renew(good, held) == []
            for id in held:
                assert self.scheduler.complete(good, id, (id, good)) == "first"
                self.accepted.append(id)
            self.gather(None, None)
            self.check()
        assert self.gathered == self.order
        assert sorted(self.accepted) == sorted(self.order)

    def holds(self, worker, id):
        there = self.scheduler.roster.get(worker)
        return there is not None and id in there.held


# What happens, and how often.
ACTIONS = {
    World.submit: 2,
    World.join: 1,
    World.lease: 8,
    World.complete: 5,
    World.fail: 3,
    World.beat: 2,
    World.go: 1,
    World.wait: 5,
    World.jump: 0.2,
    World.gather: 2,
}


def live_through(seeds):
    world = World()
    for seed in seeds:
        world.step(seed)
    world.finish()
    return world


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 2**32 - 1), max_size=150))
def test_every_task_is_done_once_and_they_leave_in_order(seeds):
    live_through(seeds)


def test_and_so_they_are_in_the_long_run():
    happened = set()
    for number in range(20):
        rng = random.Random(number)
        happened |= live_through([rng.getrandbits(32) for _ in range(1000)]).happened
    # The tests are worth something only if all of this did happen.
    assert happened >= {
        *("backup", "failed", "lost", "left", "expired", "quarantined"),
        *("first of live", "first of lost", "duplicate of live", "duplicate of lost"),
        *("unknown of lost", "unknown of quarantined"),
    }
