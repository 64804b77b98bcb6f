"""What is given to a cluster is checked as far as can be without one."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import textwrap
import time
from pathlib import Path

import pytest

from stillhouse import __version__
from stillhouse.launch.catalogue import COMMANDS
from stillhouse.launch.engines import tokens
from stillhouse.launch.settings.flags import parse
from stillhouse.launch.settings.given import check_given
from stillhouse.launch.settings.run import DistillConfig

yaml = pytest.importorskip("yaml", reason="PyYAML reads the manifests; pip install pyyaml")

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
SLURM = DEPLOY / "slurm.sbatch"
PATIENCE = 30  # seconds


def parsed(arguments):
    """The settings that a command line gives, checked as the command itself does."""
    program, name, *flags = arguments
    assert program == "stillhouse"
    config, given = parse(COMMANDS[name].config, flags)
    if isinstance(config, DistillConfig):
        check_given(config, given)
    return config, given


def documents(file):
    return [document for document in yaml.safe_load_all((DEPLOY / file).read_text())]


def pods(node):
    """Every pod template in a manifest."""
    if isinstance(node, dict):
        if "containers" in node.get("spec", {}):
            yield node
        node = list(node.values())
    if isinstance(node, list):
        for child in node:
            yield from pods(child)


@pytest.fixture
def cluster(tmp_path):
    """SLURM and stillhouse as programs that write down how they were called."""

    def program(name, body):
        path = tmp_path / name
        path.write_text(f"#!/bin/bash\n{body}")
        path.chmod(0o755)

    program("hostname", "echo node1\n")
    program(
        "srun",
        'echo "srun $*" >>calls\n'
        'while [[ "$1" == --* ]]; do shift; done\n'
        # As the real one it hands signals on, and its tasks end with it.
        'exec "$@"\n',
    )
    program(
        "stillhouse",
        textwrap.dedent(
            """\
            echo "$STILLHOUSE_TOKEN" >>tokens
            # In one write: the server and a worker write to one file at the same time.
            echo "stillhouse$(printf ' %q' "$@")" >>calls
            trap 'touch "$1.told"; exit 143' TERM
            touch "$1.started"
            while [ ! -e "$1.ends" ]; do sleep 0.02; done
            exit "$(cat "$1.ends")"
            """
        ),
    )
    environment = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "SLURM_JOB_ID": "4321",
        "SLURM_CPUS_PER_TASK": "8",
    }
    started = []

    def start(*flags):
        process = subprocess.Popen(
            ["bash", str(SLURM), *flags], cwd=tmp_path, env=environment, start_new_session=True
        )
        started.append(process)
        wait_for(tmp_path / "serve.started")
        wait_for(tmp_path / "worker.started")
        return process

    yield start
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(PATIENCE)


def wait_for(path):
    ends = time.monotonic() + PATIENCE
    while not path.exists():
        assert time.monotonic() < ends, f"no {path.name} after {PATIENCE} s"
        time.sleep(0.01)


def test_the_slurm_script_is_sound_bash():
    done = subprocess.run(["bash", "-n", str(SLURM)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
def test_shellcheck_has_nothing_to_say():
    done = subprocess.run(["shellcheck", str(SLURM)], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_slurm_reads_every_directive():
    # sbatch stops at the first line that is neither a comment nor empty.
    head = SLURM.read_text().partition("\nset -")[0].splitlines()
    assert all(line.startswith("#") or not line for line in head)
    directives = [line for line in head if line.startswith("#SBATCH")]
    assert len(directives) > 5
    assert all(re.fullmatch(r"#SBATCH --[a-z-]+(=\S+)?", line) for line in directives)


def test_on_slurm_a_server_and_workers_are_started_with_flags_that_exist(cluster, tmp_path):
    process = cluster("--dataset=/shared/a b", "--ipc=50", "--out=/shared/runs/x")
    (tmp_path / "serve.ends").write_text("0")
    (tmp_path / "worker.ends").write_text("0")
    assert process.wait(PATIENCE) == 0
    calls = (tmp_path / "calls").read_text().splitlines()
    (served,) = (shlex.split(call) for call in calls if call.startswith("stillhouse serve"))
    (worked,) = (shlex.split(call) for call in calls if call.startswith("stillhouse worker"))
    (srun,) = (call for call in calls if call.startswith("srun"))
    assert "--gpus-per-task=1" in srun and "--cpus-per-task=8" in srun
    server, _ = parsed(served)
    worker, _ = parsed(worked)
    assert server.listen.address == "0.0.0.0:18721" and worker.worker.server == "node1:18721"
    assert server.compute.backend == "xla" and worker.worker.device == "gpu:0"
    assert server.data.dataset == "/shared/a b" and server.support.ipc == 50
    # Both know one token, which nobody could guess and no command line shows.
    first, second = (tmp_path / "tokens").read_text().split()
    assert first == second and re.fullmatch("[0-9a-f]{64}", first)
    assert not any(first in call for call in calls)


def test_on_slurm_the_end_of_the_time_is_for_the_server_which_ends_in_its_own_way(
    cluster, tmp_path
):
    process = cluster()
    process.send_signal(signal.SIGTERM)
    wait_for(tmp_path / "serve.told")
    assert process.wait(PATIENCE) == 143
    assert (tmp_path / "worker.told").exists()


def test_on_slurm_workers_end_with_a_server_that_fails(cluster, tmp_path):
    process = cluster()
    (tmp_path / "serve.ends").write_text("2")
    assert process.wait(PATIENCE) == 2
    assert (tmp_path / "worker.told").exists()


@pytest.mark.parametrize("file", ["kubernetes.yaml", "kuberay.yaml"])
def test_a_manifest_is_whole(file):
    for document in documents(file):
        assert {"apiVersion", "kind", "metadata", "spec"} <= document.keys()
        assert re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", document["metadata"]["name"])
    templates = list(pods(documents(file)))
    assert len(templates) == 2
    for template in templates:
        spec = template["spec"]
        volumes = {volume["name"] for volume in spec.get("volumes", [])}
        assert spec["automountServiceAccountToken"] is False
        for container in spec["containers"]:
            assert {"name", "image", "resources"} <= container.keys()
            assert container["image"].endswith(f":{__version__}")
            mounts = {mount["name"] for mount in container.get("volumeMounts", [])}
            assert mounts == volumes
            # A device is asked for as it is limited, or Kubernetes refuses.
            requests, limits = (container["resources"][kind] for kind in ("requests", "limits"))
            assert requests["memory"] == limits["memory"]
            assert requests.get("nvidia.com/gpu") == limits.get("nvidia.com/gpu")


def test_on_kubernetes_workers_find_the_server_and_nobody_else_does():
    service, policy, server, workers = documents("kubernetes.yaml")
    kinds = [document["kind"] for document in (service, policy, server, workers)]
    assert kinds == ["Service", "NetworkPolicy", "Job", "Job"]
    (serving,), (working,) = (
        job["spec"]["template"]["spec"]["containers"] for job in (server, workers)
    )
    (serve, _), (worker, _) = parsed(serving["command"]), parsed(working["command"])
    (port,) = service["spec"]["ports"]
    address = f"{service['metadata']['name']}:{port['port']}"
    assert serve.listen.address == f"0.0.0.0:{port['port']}" and worker.worker.server == address
    secret = {"secretKeyRef": {"name": "stillhouse", "key": "token"}}
    for container in (serving, working):
        assert container["env"] == [{"name": tokens.VARIABLE, "valueFrom": secret}]
    assert serving["ports"] == [{"containerPort": port["port"]}]
    labels = {
        job["metadata"]["name"]: job["spec"]["template"]["metadata"]["labels"]
        for job in (server, workers)
    }
    chosen = service["spec"]["selector"].items()
    assert [name for name, has in labels.items() if chosen <= has.items()] == ["stillhouse-server"]
    guarded = policy["spec"]["podSelector"]["matchLabels"].items()
    assert all(guarded <= has.items() for has in labels.values())
    (rule,) = policy["spec"]["ingress"]
    (friend,) = rule["from"]
    admitted = friend["podSelector"]["matchLabels"].items()
    assert [n for n, has in labels.items() if admitted <= has.items()] == ["stillhouse-workers"]
    assert rule["ports"] == [{"port": port["port"]}]


def test_on_kubernetes_a_gpu_goes_with_its_backend():
    _, _, server, workers = documents("kubernetes.yaml")
    (serving,), (working,) = (
        job["spec"]["template"]["spec"]["containers"] for job in (server, workers)
    )
    (serve, given), (worker, _) = parsed(serving["command"]), parsed(working["command"])
    assert serve.compute.backend == "xla" and "backend" in given
    assert worker.worker.device == "gpu:0"
    assert working["resources"]["limits"]["nvidia.com/gpu"] == 1
    # The run outlives its pod; workers keep nothing.
    (mount,) = serving["volumeMounts"]
    assert serve.run.out.startswith(f"{mount['mountPath']}/")
    assert serve.data.dataset.startswith(f"{mount['mountPath']}/")
    assert "volumeMounts" not in working


def test_on_kubernetes_what_dies_is_started_again():
    *_, server, workers = documents("kubernetes.yaml")
    for job in (server, workers):
        assert job["spec"]["template"]["spec"]["restartPolicy"] == "OnFailure"
        assert job["spec"]["backoffLimit"] > 6
    # A queue of work: it is done when one worker says so, and the others have ended.
    assert workers["spec"]["parallelism"] > 1 and "completions" not in workers["spec"]


def test_on_kuberay_there_is_a_gpu_for_each_worker_and_a_token():
    (job,) = documents("kuberay.yaml")
    assert (job["kind"], job["apiVersion"]) == ("RayJob", "ray.io/v1")
    config, _ = parsed(shlex.split(job["spec"]["entrypoint"]))
    assert (config.engine.engine, config.engine.ray_address) == ("ray", "auto")
    assert config.compute.backend == "xla"
    cluster = job["spec"]["rayClusterSpec"]
    assert cluster["authOptions"] == {"mode": "token"}
    (group,) = cluster["workerGroupSpecs"]
    (container,) = group["template"]["spec"]["containers"]
    gpus = group["replicas"] * container["resources"]["limits"]["nvidia.com/gpu"]
    assert config.engine.workers == gpus
    assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]
    (head,) = cluster["headGroupSpec"]["template"]["spec"]["containers"]
    (mount,) = head["volumeMounts"]
    assert config.run.out.startswith(f"{mount['mountPath']}/")
    for params in (cluster["headGroupSpec"], group):
        assert all(isinstance(value, str) for value in params["rayStartParams"].values())


def test_the_dashboard_asks_for_metrics_that_exist():
    prometheus = pytest.importorskip("prometheus_client", reason="pip install prometheus-client")
    from stillhouse.launch.engines.metrics_page import RunCollector
    from stillhouse.server.blobs import BlobStore
    from stillhouse.server.pool import WorkerPool
    from stillhouse.server.scheduler import Scheduler
    from stillhouse.server.service import Service

    registry = prometheus.CollectorRegistry()
    prometheus.ProcessCollector(registry=registry)
    with WorkerPool(Scheduler(time.monotonic), BlobStore()) as pool:
        registry.register(RunCollector(Service(pool, {"summary": "a run"})))
        there = {
            f"{family.name}_total" if family.type == "counter" else family.name
            for family in registry.collect()
        }
    dashboard = json.loads((DEPLOY / "grafana.json").read_text())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    queries += [
        v["query"]["query"] for v in dashboard["templating"]["list"] if v["type"] == "query"
    ]
    asked = set(re.findall(r"\b(?:stillhouse|process)_\w+", " ".join(queries)))
    assert asked <= there
    # And shows all that is said of a run.
    assert {name for name in there if name.startswith("stillhouse_")} <= asked
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(ids)) == len(ids) > 10


@pytest.mark.parametrize("file", ["slurm.sbatch", "kubernetes.yaml", "kuberay.yaml"])
def test_commands_in_comments_exist_too(file):
    for line in (DEPLOY / file).read_text().splitlines():
        found = re.search(r"^#.* (stillhouse (?:status|worker|distill) \S*--.*)$", line)
        if found:
            parsed(shlex.split(found[1]))
