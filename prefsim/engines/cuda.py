"""Bandits on a GPU: a thread a run, the same rule files and the same loop, through numba-cuda.

A kernel cannot allocate, so what a run writes on is laid out beforehand for all runs of a launch, the runs on the last
axis: the threads of a warp play neighbouring runs and read neighbouring words.
"""

from __future__ import annotations

import ast
import inspect
from collections import namedtuple
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import config
from numpy.typing import NDArray

from prefsim import registry
from prefsim.bandit import Problem, kinds
from prefsim.engines import bandit_loop, reference
from prefsim.engines.compiler import Target, as_floats, compile_runner, explained, literal
from prefsim.engines.numba import bound_names, helpers
from prefsim.results import package_version

if TYPE_CHECKING:
    from prefsim.experiment import Experiment

RUNS = 1 << 18
"""Runs a launch, at most: enough threads for any device, few enough that Ctrl-C is heard between launches."""

THREADS = 128
"""Threads a block."""

SHARE = 0.5
"""Part of the device's free memory that the arrays of a launch may take."""

TARGET = Target(
    "from numba import cuda\nfrom numba.extending import register_jitable",
    "@register_jitable(forceinline=True, error_model='numpy')",
    "@register_jitable(forceinline=True, error_model='numpy')",
    "@cuda.jit(cache=True)",
)

Known = namedtuple("Known", [*Problem._fields, "state", "world", "shown", "desk"])  # type: ignore[misc]
"""What the loop is given for the problem: its fields, and where this run finds what it writes on."""

DESK = ("order", "plays", "wanted", "seen")
"""Arrays of the loop's own whose length depends on the number of arms; the others fit into a thread's own memory."""


def library() -> Any:
    """``numba.cuda``, with a device.

    Raises
    ------
    ValueError
        If numba-cuda is not installed or finds no device.
    """
    simulated = config.ENABLE_CUDASIM  # type: ignore[attr-defined]  # by NUMBA_ENABLE_CUDASIM=1: Python plays the device
    if not simulated and find_spec("numba_cuda") is None:
        raise ValueError('engine="cuda" needs numba-cuda; pip install "prefsim[gpu]", or leave engine out.')
    from numba import cuda

    if not cuda.is_available():
        raise ValueError(
            'engine="cuda" found no CUDA device that numba-cuda can use; pip install "prefsim[gpu]" and check the driver, '
            "or leave engine out."
        )
    if not simulated:
        _prefer_fields()
    return cuda


@cache
def _prefer_fields() -> None:
    """Let a field named ``index`` be one: numba-cuda looks at what is made for CUDA first, such as a tuple's methods."""
    from numba.cuda.extending import infer_getattr  # type: ignore[attr-defined]
    from numba.cuda.typing.collections import NamedTupleAttribute

    infer_getattr(type("Fields", (NamedTupleAttribute,), {"metadata": {"target": "cuda"}}))


def device() -> str:
    """Name of the device, for the provenance of results."""
    name = getattr(library().current_context().device, "name", "simulator")
    return name.decode() if isinstance(name, bytes) else str(name)


def check(experiment: Experiment) -> None:
    """Refuse what this engine does not play, before any work.

    Raises
    ------
    ValueError
        For preference games, for policies that make arrays, and where there is no numba-cuda or no device.
    """
    if experiment.kind != "policies":
        raise ValueError('engine="cuda" plays bandits only; preference games run on a GPU with engine="cupy".')
    for spec in experiment.algorithms:
        if getattr(registry.algorithm("policies", spec.key).module, "ALLOCATES", False):
            raise ValueError(
                f"{spec.key} makes arrays as it goes (ALLOCATES = True), which a thread of a GPU cannot; run it with "
                'engine="numba", the default.'
            )
    library()


def parallel(
    work: Callable[[int, int, NDArray[np.uint8]], None], count: int, progress: Callable[[int], None] | None = None
) -> None:
    """Call ``work(first, last, halt)`` over ranges that cover ``0 .. count - 1``, one after the other."""
    halt = np.zeros(1, np.uint8)
    for first in range(0, count, RUNS):
        last = min(first + RUNS, count)
        work(first, last, halt)
        if progress:
            progress(last - first)


@cache
def _runner(policy: ModuleType, environment: ModuleType, counted: bool, kind: str) -> Any:
    names = {**bound_names(policy, environment, counted, kind), "Known": Known}
    state = [f"state_{name}" for name in policy.State._fields]
    world = [f"world_{name}" for name in environment.State._fields] if "World" in names else []
    truth = ", ".join(f"truth_{name}" for name in environment.Truth._fields)
    known = ", ".join(f"known_{name}" for name in Problem._fields)
    rooms = [*state, *world, "shown", *DESK]
    mine = {room: f"{room}[..., k]" for room in rooms}
    views = ", ".join(mine[name] for name in state), ", ".join(mine[name] for name in world)
    allocation = {
        "allocate(known)": "known.state",
        "describe(known)": f"Problem({', '.join(f'known.{name}' for name in Problem._fields[:-1])}, known.shown)",
        "allocate_world(truth, known)": "known.world",
        "desk(known)": "known.desk",
    }
    if names["reveal"] is bandit_loop.reveal_report:
        # A device function returns no array but one it was given: the report comes as the row for what is seen.
        mine["seen"] = mine["world_report"]
        allocation[f"reveal{inspect.signature(names.pop('reveal'))}"] = "seen"
    for name in [name for name, value in names.items() if value is bandit_loop.nothing]:
        # Device functions take no ``*arguments``.
        allocation[f"{name}({', '.join(f'_{k}' for k in range(_arity()[name]))})"] = str(names.pop(name)())
    # The compiled kernel is kept on disk too: another version of the compiler gets another name.
    header = f"# numba-cuda {package_version('numba-cuda')}\n{helpers(allocation, names, TARGET)}"
    entry = "\n".join([
        f"def run(hyper, {truth}, {known}, keys, instance, first, record, out, halt, done, {', '.join(rooms)}):",
        "    k = cuda.grid(1)",
        "    if k < len(done):",
        *(f"        {view} = 0" for view in mine.values()),
        *(f"        {name} = cuda.local.array(WORDS, np.uint64)" for name in ("nature", "luck", "shuffle")),
        "        total = cuda.local.array(COSTS, np.float64)",
        "        for m in range(COSTS):",
        "            total[m] = 0.0",
        f"        desk = nature, luck, shuffle, {mine['order']}, total, {mine['plays']}, {mine['wanted']}, {mine['seen']}",
        f"        world = {f'World({views[1]})' if 'World' in names else '()'}",
        f"        known = Known({known}, State({views[0]}), world, {mine['shown']}, desk)",
        f"        play_bandit({literal(policy.Hyper, 'hyper')}, Truth({truth}), known,",
        "                    keys, instance, first + k, first + k + 1, record, out[k : k + 1], halt)",
        "        done[k] = 1",
        "",
    ])  # fmt: skip
    return compile_runner(bandit_loop.play_bandit, header, names, entry, target=TARGET)


@cache
def _arity() -> dict[str, int]:
    """Number of arguments the loop gives to each function."""
    nodes = ast.walk(ast.parse(inspect.getsource(bandit_loop.play_bandit)))
    return {n.func.id: len(n.args) for n in nodes if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}


def _rooms(policy: ModuleType, environment: ModuleType, known: Problem, truth: Any) -> list[NDArray[Any]]:
    """One run's arrays, as the kernel takes them."""
    world = reference.allocate(environment)(known, truth) if hasattr(environment, "State") else ()
    row = np.zeros(known.arms)
    desk = [np.zeros(known.arms, np.int64), np.zeros(known.arms + bandit_loop.LATEST), row, row]
    return [*reference.allocate(policy)(known), *world, known.features, *desk]


def play_bandit(policy: ModuleType, environment: ModuleType, counted: bool = False, kind: str = "") -> Callable[..., None]:
    """Counterpart of :func:`prefsim.engines.reference.play_bandit` on the device, same arguments."""
    cuda = library()
    run = _runner(policy, environment, counted, kind or kinds(environment)[0])

    def away(value: Any) -> Any:
        return cuda.to_device(value) if isinstance(value, np.ndarray) else value

    def play(hyper: Any, truth: Any, known: Problem, keys: Any, instance: int, first: int, last: int, *rest: Any) -> None:
        record, out, halt = rest
        rooms = _rooms(policy, environment, known, truth)
        count = _launch(cuda, sum(room.nbytes for room in rooms) + out[0].nbytes, last - first)
        there = [cuda.device_array((*room.shape, count), room.dtype) for room in rooms]
        fixed = [away(value) for value in (as_floats(hyper), *truth, *known, keys)]
        record, halt = away(record), away(halt)
        for begun in range(first, last, count):
            rows = out[begun - first : begun - first + count]
            filled, done = away(rows), away(np.zeros(len(rows), np.uint8))
            threads = min(THREADS, len(rows))
            with explained(policy, 'A GPU takes scalars, loops and branches only; engine="numba" may take more'):
                run[-(-len(rows) // threads), threads](*fixed, instance, begun, record, filled, halt, done, *there)
            filled.copy_to_host(rows)
            if not done.copy_to_host().all():
                raise RuntimeError(f'a run of {policy.__name__} stopped on the device; engine="numba" says why.')

    return play


def _launch(cuda: Any, size: int, runs: int) -> int:
    """Runs of so many bytes each that go into one launch.

    Raises
    ------
    ValueError
        If the device has no room for a single one.
    """
    room = SHARE * cuda.current_context().get_memory_info().free
    if size > room:
        raise ValueError(f'a run takes {size} bytes, more than the device has free; use engine="numba", the default.')
    return int(min(runs, RUNS, room // size))
