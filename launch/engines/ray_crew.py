"""Workers as Ray actors, and the thread that leases tasks from the server on their behalf.

Ray starts the actors, carries arguments and results, and tells of a death. Who computes what, and
what is tried again, is the server's to say, as for every other worker: Ray's own retries are off.
"""

import functools
import threading
import time
from types import TracebackType
from typing import Any

from absl import logging

from stillhouse.launch.engines.ray_blobs import SharedBlobs
from stillhouse.launch.engines.ray_worker import RayWorker
from stillhouse.launch.jobs import AnyJob
from stillhouse.methods.tasks import TaskFailedError
from stillhouse.server.pool import WorkerPool
from stillhouse.server.service import Service
from stillhouse.workers.cache import blobs_of_task

# One that is computed, and one that waits with its arrays on the way.
_MOST = 2
# So often is the server asked on behalf of idle workers. It costs a call in this process for each.
_POLL_SECONDS, _POLL_SECONDS_PER_WORKER = 0.002, 0.0001
_SECONDS_TO_PLACE = 15.0
_MOST_STILLBORN = 3
# Calls beside the one that computes, so that a sign of life need not wait for it.
_SIGNS = "signs"


class _Member:
    """An actor, and what the server knows of it.

    Attributes:
        id: the server's name for the worker; empty until it has registered.
        info: its description, once it is known.
        calls: the task of each call that has not come back.
        sign: the call that asks for a sign of life, or for the description.
    """

    def __init__(self, name: str, actor: Any) -> None:
        self.name, self.actor = name, actor
        self.id = ""
        self.info: dict[str, Any] | None = None
        self.calls: dict[Any, str] = {}
        self.sign: Any = actor.describe.options(concurrency_group=_SIGNS).remote()
        self.sign_due = 0.0
        self.lease_due = 0.0
        self.tasks, self.seconds = 0, 0.0

    @property
    def refs(self) -> list[Any]:
        """All calls that have not come back."""
        return [*self.calls, *([self.sign] if self.sign is not None else [])]


class RayCrew:
    """The workers of a run on a Ray cluster; a context manager that ends them all.

    Args:
        ray: the module, connected to a cluster.
        service: the server,
        pool: and its pool, which is told of deaths.
        workers: how many actors.
        device: "cpu", or "gpu:0" for a GPU each.
        threads: processor threads of each.
    """

    def __init__(
        self,
        ray: Any,
        service: Service,
        pool: WorkerPool,
        *,
        workers: int,
        device: str,
        threads: int,
    ) -> None:
        self._ray, self._service, self._pool = ray, service, pool
        self._count, self._device, self._threads = workers, device, threads
        self._blobs = SharedBlobs(ray.put)
        self._members: dict[str, _Member] = {}
        self._started, self._told = 0.0, False
        self._names = self._stillborn = 0
        self._backend, self._heartbeat = "", 0.0
        self._lock = threading.Lock()
        self._stopping = False
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._work, name="ray-crew", daemon=True)

    def start(self, job: AnyJob) -> None:
        """Start the actors of a run; they join as Ray finds room for them."""
        self._backend, self._started = job.backend, time.monotonic()
        self.scale(self._count)
        self._thread.start()

    def scale(self, workers: int) -> None:
        """Have so many workers from now on: start new ones, or end the last ones."""
        with self._lock:
            self._count = workers
            while len(self._members) < workers:
                self._hire()
            for name in list(self._members)[workers:]:
                self._dismiss(self._members.pop(name))

    def workers(self) -> tuple[str, ...]:
        """Return the names of the workers that are there, or on their way."""
        with self._lock:
            return tuple(self._members)

    def kill(self, worker: str) -> None:
        """End a worker at once, as an accident would; another one is started.

        Raises:
            KeyError: if there is no such worker.
        """
        with self._lock:
            self._ray.kill(self._members[worker].actor, no_restart=True)

    def check(self) -> None:
        """Raise what makes it impossible to go on, if anything does.

        Raises:
            TaskFailedError: if all workers are refused, or they die whenever they are started.
        """
        if self._error is not None:
            raise TaskFailedError(f"no workers on Ray: {self._error}") from self._error

    def stop(self) -> None:
        """End all actors."""
        self._stopping = True
        if self._thread.is_alive():
            self._thread.join(timeout=10)
        self.scale(0)

    def __enter__(self) -> "RayCrew":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _work(self) -> None:
        try:
            while not self._stopping:
                with self._lock:
                    refs = [ref for member in self._members.values() for ref in member.refs]
                back = self._back(refs)
                with self._lock:
                    for member in list(self._members.values()):
                        self._tend(member, back)
                    self._tell_who_waits()
        except Exception as error:
            self._error = error

    @property
    def _pause(self) -> float:
        return _POLL_SECONDS + _POLL_SECONDS_PER_WORKER * self._count

    def _back(self, refs: list[Any]) -> set[Any]:
        """Return the calls that have come back, after a moment if there are none yet."""
        if not refs:
            time.sleep(self._pause)
            return set()
        self._ray.wait(refs, num_returns=1, timeout=self._pause)
        return set(self._ray.wait(refs, num_returns=len(refs), timeout=0)[0])

    def _tell_who_waits(self) -> None:
        waiting = sum(not member.id for member in self._members.values())
        if waiting and not self._told and time.monotonic() > self._started + _SECONDS_TO_PLACE:
            self._told = True
            logging.warning(
                "%d of %d workers wait for room in the Ray cluster; the run goes on without them",
                waiting,
                self._count,
            )

    def _tend(self, member: _Member, back: set[Any]) -> None:
        """Do for a worker all that is due."""
        try:
            self._take_signs(member, back)
            if member.id and member.name in self._members:
                self._take_results(member, back)
                self._give_tasks(member)
        except self._ray.exceptions.RayActorError as error:
            self._replace(member, _reason(error))

    def _take_signs(self, member: _Member, back: set[Any]) -> None:
        now = time.monotonic()
        if member.sign is None:
            if now >= member.sign_due:
                member.sign = member.actor.alive.options(concurrency_group=_SIGNS).remote()
            return
        if member.sign not in back:
            return
        answer = self._ray.get(member.sign)
        member.sign = None
        if member.info is None:
            member.info, self._stillborn = answer, 0
            self._register(member)
            return
        stats = {"tasks": member.tasks, "seconds": member.seconds}
        beat = self._service.heartbeat(member.id, list(member.calls.values()), stats)
        member.sign_due = now + self._heartbeat
        if beat["status"] == "unknown":  # It was silent for too long.
            self._register(member)
        if beat["status"] == "quarantined":
            self._replace(member, f"it was set aside: {beat['reason']}")

    def _register(self, member: _Member) -> None:
        assert member.info is not None, "it has described itself"
        answer = self._service.register(member.info)
        if answer["status"] == "stop":
            return
        if answer["status"] != "ok":
            self._turn_away(member, answer["reason"])
            return
        member.id, self._heartbeat = answer["worker"], answer["heartbeat"]
        member.sign_due = time.monotonic() + self._heartbeat

    def _take_results(self, member: _Member, back: set[Any]) -> None:
        for ref in [ref for ref in member.calls if ref in back]:
            outcome = self._outcome(ref)
            task = member.calls.pop(ref)
            if "results" in outcome:
                member.tasks, member.seconds = member.tasks + 1, member.seconds + outcome["seconds"]
                self._service.complete(member.id, task, outcome["results"], outcome["seconds"], 0)
            else:
                self._service.fail(member.id, task, outcome["kind"], outcome["reason"])
            member.lease_due = 0.0

    def _outcome(self, ref: Any) -> dict[str, Any]:
        try:
            outcome: dict[str, Any] = self._ray.get(ref)
            return outcome
        except self._ray.exceptions.RayActorError:
            raise
        except self._ray.exceptions.RayError as error:  # Such as a full object store.
            return {"kind": "other", "reason": f"{type(error).__name__}: {error}"}

    def _give_tasks(self, member: _Member) -> None:
        room = _MOST - len(member.calls)
        if not room or time.monotonic() < member.lease_due:
            return
        answer = self._service.lease(member.id, room)
        if answer["status"] == "refused":
            raise ValueError(answer["reason"])
        for entry in answer.get("tasks", ()):
            fetch = functools.partial(self._fetch, member)
            get = functools.partial(blobs_of_task, enclosed=entry.pop("enclosed"), fetch=fetch)
            refs = self._blobs.refs(entry["shared"], get)
            # A task whose arrays are gone was done by somebody else.
            if refs is not None:
                member.calls[member.actor.run.remote(entry, *refs)] = entry["id"]
        if not answer.get("tasks"):
            member.lease_due = time.monotonic() + self._pause
        if answer["status"] == "unknown":
            self._register(member)

    def _fetch(self, member: _Member, names: list[str]) -> dict[str, bytes]:
        blobs: dict[str, bytes] = self._service.fetch(member.id, names).get("blobs", {})
        return blobs

    def _hire(self) -> None:
        name = f"worker/{self._names}"
        self._names += 1
        actor = self._ray.remote(
            num_cpus=self._threads,
            num_gpus=int(self._device != "cpu"),
            concurrency_groups={_SIGNS: 1},
            max_restarts=0,
            max_task_retries=0,
        )(RayWorker)
        self._members[name] = _Member(
            name, actor.remote(self._backend, self._device, self._threads)
        )

    def _dismiss(self, member: _Member) -> None:
        if member.id:
            self._service.leave(member.id)
        self._ray.kill(member.actor, no_restart=True)

    def _turn_away(self, member: _Member, reason: str) -> None:
        """Let an actor go that the server refuses; another one would be as this one is.

        Raises:
            ValueError: if nobody is left.
        """
        self._members.pop(member.name)
        self._ray.kill(member.actor, no_restart=True)
        if not self._members:
            raise ValueError(reason)
        self._count -= 1
        logging.warning("%s is refused, the others go on without it: %s", member.name, reason)

    def _replace(self, member: _Member, reason: str) -> None:
        """Have another actor in place of one that died, or was set aside."""
        logging.warning("%s has ended, another one is started: %s", member.name, reason)
        self._members.pop(member.name)
        # Where only the network was gone it would come back, as one too many.
        self._ray.kill(member.actor, no_restart=True)
        if member.id:
            self._pool.lose(member.id, "its process has died")
        self._stillborn += not member.id
        if self._stillborn == _MOST_STILLBORN:
            raise RuntimeError(f"they die when they are started: {reason}")
        self._hire()


def _reason(error: Exception) -> str:
    # Followed, where a process died, by an essay on what may have killed it.
    return str(error).strip().splitlines()[-1].partition(" Some common causes")[0]
