# One command each for setting up, the demo and the tests; `make` alone lists them.
#
# The Python is found by scripts/find_python.sh. `make test PYTHON=python3.11` names another one,
# which gets an environment of its own, so that both stacks stay installed.

PYTHON =
ARGS =

# The folder of the environment, made first where it is missing or behind pyproject.toml.
VENV = venv=$$(scripts/setup.sh "$(PYTHON)")

.PHONY: help setup lint test oracle demo bazel-test clean distclean
# Two targets at once would install into one environment at once.
.NOTPARALLEL:

help:
	@echo "make setup       make .venv and install everything into it"
	@echo "make demo        distil the digits into ten images, and say where they are"
	@echo "make test        linter, type check and tests; ARGS='-k kip' picks tests"
	@echo "make oracle      every backend against float64, at ordinary and at degenerate images"
	@echo "make lint        linter and type check alone"
	@echo "make gpu-check   errors, speed and bits on this machine's GPU, in some minutes"
	@echo "make bazel-test  the same tests by Bazel"
	@echo "make clean       remove build products and caches; distclean: environments too"
	@echo "PYTHON=python3.11 after any of them takes that Python, in .venv-3.11"

setup:
	@$(VENV) && echo "Ready: $$venv"

# The type checker works beside a link named stillhouse to this folder: here it would take each room
# for a package of its own.
lint:
	@$(VENV) && "$$venv/bin/python" -m ruff check . && \
	  "$$venv/bin/python" -m ruff format --check . && \
	  cd "$$venv/typecheck" && \
	  "$$venv/bin/python" -m mypy --config-file "$(CURDIR)/pyproject.toml" -p stillhouse

# Files of tests run side by side, in the order of tests/conftest.py: one more than there are cores,
# as one of them waits for processes most of the time, and 4 at most. TESTERS=0 runs all one after
# another.
CORES = $(shell getconf _NPROCESSORS_ONLN)
TESTERS = $(shell [ $(CORES) -lt 4 ] && expr $(CORES) + 1 || echo 4)

# Processes of tests would compile the whole package each, where nothing may be kept of it.
unexport PYTHONDONTWRITEBYTECODE

test: lint
	@$(VENV) && "$$venv/bin/python" -m pytest -n $(TESTERS) --dist=loadscope --no-loadscope-reorder \
	  $(ARGS)

oracle:
	@$(VENV) && "$$venv/bin/python" benchmarks/oracle.py $(ARGS)

# Given again, it says what the finished run came to; an interrupted one goes on.
demo:
	@$(VENV) && "$$venv/bin/python" -m stillhouse.launch.main distill \
	  --dataset=digits --method=kip --architecture=convnet --depth=3 --ipc=1 --steps=100 \
	  --target_batch=1000 --learning_rate=0.1 --learn_labels --transform=standardise --seed=0 \
	  --out=runs/digits

# With a JAX for GPUs and the extra cuda, see docs/gpu.md.
gpu-check:
	@$(VENV) && cd benchmarks && "$$venv/bin/python" gpu.py $(ARGS)

bazel-test:
	@scripts/bazel_test.sh $(ARGS)

clean:
	rm -rf build dist stillhouse.egg-info .mypy_cache .pytest_cache .ruff_cache
	find . -name '.venv*' -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean
	rm -rf .venv .venv-3.1*
