"""Whatever happens, in whichever order: every task is done once, and they leave in order."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from stillhouse.server.leases import TaskRecord, WorkerInfo
from stillhouse.server.scheduler import Scheduler

HEARTBEAT = 3.0
pick = st.integers(0, 10**6)


class Machine(RuleBasedStateMachine):
    """A scheduler, and workers of whom each knows only what it was told."""

    def __init__(self):
        super().__init__()
        self.seconds = 50.0
        # Nothing is given up here: that a run stops is another test's matter.
        self.scheduler = Scheduler(
            lambda: self.seconds, heartbeat=HEARTBEAT, max_failures=10**6, max_losses=10**6
        )
        self.order, self.waiting, self.gathered = [], [], []
        self.accepted = []
        self.failed = set()
        self.workers = {}  # what each thinks it holds

    def worker(self, number):
        return list(self.workers)[number % len(self.workers)]

    def task_of(self, worker, number):
        held = self.workers[worker]
        return held[number % len(held)] if held else None

    @rule(count=st.integers(1, 6), blobs=st.integers(1, 3))
    def submit(self, count, blobs):
        records = [TaskRecord(n + 1, (f"b{n % blobs}",), n % 2) for n in range(count)]
        ids = self.scheduler.submit(records)
        assert not set(ids) & set(self.order)
        self.order += ids
        self.waiting += ids

    @precondition(lambda self: len(self.workers) < 6)
    @rule()
    def join(self):
        worker = self.scheduler.register(WorkerInfo())
        assert worker not in self.workers
        self.workers[worker] = []

    @precondition(lambda self: self.workers)
    @rule(who=pick, most=st.integers(0, 3), arrives=st.booleans())
    def lease(self, who, most, arrives):
        worker = self.worker(who)
        lent = self.scheduler.lease(worker, most)
        assert len(lent) <= most and len(set(lent)) == len(lent)
        live = {w.id for w in self.scheduler.roster.present() if w.state == "live"}
        for id in lent:
            assert id in self.waiting and id not in self.accepted
            assert not (
                (worker, id) in self.failed and live - {w for w, t in self.failed if t == id}
            )
        if arrives:
            self.workers[worker] += lent

    @precondition(lambda self: self.workers)
    @rule(who=pick, which=pick, twice=st.booleans())
    def complete(self, who, which, twice):
        worker = self.worker(who)
        id = self.task_of(worker, which)
        if id is None:
            return
        for _ in range(1 + twice):
            said = self.scheduler.complete(worker, id, (id, worker))
            assert said in ("first", "duplicate", "unknown")
            if said == "first":
                assert id not in self.accepted
                self.accepted.append(id)
            elif said == "duplicate":
                assert id in self.accepted
        self.workers[worker].remove(id)

    @precondition(lambda self: self.workers)
    @rule(who=pick, which=pick, bad=st.booleans(), kind=st.sampled_from(["value", "other"]))
    def fail(self, who, which, bad, kind):
        worker = self.worker(who)
        id = self.task_of(worker, which)
        if id is None:
            return
        holds = self.holds(worker, id)
        (self.scheduler.reject if bad else self.scheduler.fail)(worker, id, "so it goes", kind)
        if holds:
            self.failed.add((worker, id))
        self.workers[worker].remove(id)

    @precondition(lambda self: self.workers)
    @rule(who=pick, stranger=st.booleans())
    def beat(self, who, stranger):
        worker = self.worker(who)
        named = [*self.workers[worker], *(["nonsense"] if stranger else [])]
        revoked = self.scheduler.renew(worker, named)
        assert set(revoked) <= set(named)
        assert all(self.holds(worker, id) for id in named if id not in revoked)
        self.workers[worker] = [id for id in self.workers[worker] if id not in revoked]

    @precondition(lambda self: self.workers)
    @rule(who=pick, how=st.sampled_from(["leave", "lose", "vanish"]), returns=st.booleans())
    def go(self, who, how, returns):
        worker = self.worker(who)
        if how == "leave":
            self.scheduler.leave(worker)
        elif how == "lose":
            self.scheduler.worker_lost(worker, "a test said so")
        if not returns:  # One that was lost may still think that it is there.
            del self.workers[worker]

    @rule(seconds=st.floats(-20, 20))
    def pass_time(self, seconds):
        self.seconds += seconds
        self.scheduler.tick()

    @rule()
    def gather(self):
        results = self.scheduler.gather(self.waiting)
        for id, _ in results:
            assert id == self.waiting.pop(0)
            self.gathered.append(id)

    @invariant()
    def every_task_is_in_one_place(self):
        counts = self.scheduler.counts()
        lent = {id for worker in self.scheduler.roster.present() for id in worker.held}
        open_tasks = set(self.waiting) - set(self.accepted)
        assert lent <= open_tasks
        assert counts["queued"] == len(open_tasks - lent)
        assert counts["done"] == len(self.accepted) == len(set(self.accepted))
        assert self.scheduler.failure(self.waiting) is None
        live = [w for w in self.scheduler.roster.present() if w.state == "live"]
        assert self.scheduler.roster.live == len(live)
        assert all(len(w.held) <= 8 and w.seen <= self.scheduler.now for w in live)

    def teardown(self):
        """From any state, one good worker that stays does all that is left."""
        good = self.scheduler.register(WorkerInfo())
        for _ in range(10_000):
            if not self.waiting:
                break
            self.seconds += HEARTBEAT / 2
            self.scheduler.tick()
            held = self.scheduler.lease(good, 2)
            assert self.scheduler.renew(good, held) == []
            for id in held:
                assert self.scheduler.complete(good, id, (id, good)) == "first"
                self.accepted.append(id)
            self.gather()
        assert self.gathered == self.order
        assert sorted(self.accepted) == sorted(self.order)

    def holds(self, worker, id):
        there = self.scheduler.roster.get(worker)
        return there is not None and id in there.held


Machine.TestCase.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
TestScheduler = Machine.TestCase
