"""Results as labelled data: one `xarray.Dataset` with its provenance, in files written whole or not at all."""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import platform
import sys
import tempfile
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from prefsim import registry
from prefsim.engines import GPU, load_engine
from prefsim.experiment import Experiment

if TYPE_CHECKING:
    import xarray as xr

PACKAGES = ("numpy", "numba", "scipy", "xarray")


@cache
def package_version(name: str) -> str:
    """Installed version of a package, or "not installed"."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


@cache
def _digest(module: ModuleType) -> str:
    return hashlib.blake2b(inspect.getsource(module).encode(), digest_size=8).hexdigest()


def sources(experiment: Experiment) -> dict[str, str]:
    """Hashes of the source files a result depends on."""
    from prefsim import equilibrium, metrics, noise, ops, vectors
    from prefsim.engines import bandit_loop, game_loops

    modules = {m.__name__: m for m in (ops, noise, game_loops if experiment.kind == "solvers" else bandit_loop)}
    for spec in experiment.algorithms:
        rule = registry.resolve(experiment.kind, spec.key, spec.hyper)[0].module
        modules.update(_reached(rule))
    if experiment.kind == "solvers":
        modules.update({m.__name__: m for m in (metrics, equilibrium)})
    else:
        environment = registry.load("bandits", experiment.problem.environment)
        modules.update({m.__name__: m for m in (environment, vectors)})
    return {name: _digest(module) for name, module in sorted(modules.items())}


def _reached(rule: ModuleType) -> dict[str, ModuleType]:
    """A rule file by name, and the files of its kind whose functions and classes it uses: learners, and what rules share."""
    family, found, fresh = rule.Hyper.__module__.rpartition(".")[0], {}, [rule]
    while fresh:
        module = fresh.pop()
        found[module.__name__] = module
        origins = {getattr(value, "__module__", None) or "" for value in vars(module).values()} - found.keys()
        fresh += [sys.modules[name] for name in origins if name.rpartition(".")[0] == family]
    return found


def content_key(experiment: Experiment) -> str:
    """Key of a result: a hash of the experiment and the sources it depends on (not of the engine or the machine)."""
    content = json.dumps([experiment.to_dict(), sources(experiment)], sort_keys=True)
    return hashlib.blake2b(content.encode(), digest_size=16).hexdigest()


def provenance(experiment: Experiment, engine: str, reason: str, steps: dict[str, list[float]]) -> str:
    """JSON text that says how a result came about, without timestamps.

    `reason` says why the engine was taken, `steps` are the numbers behind steps given as words, one per instance, by algorithm.
    """
    try:
        content = experiment.to_dict()
    except ValueError:
        content = {"problem": repr(experiment.problem), "horizon": experiment.horizon, "runs": experiment.runs}
    gpu = [load_engine(engine).device()] if engine in GPU else []
    return json.dumps({
        "version": package_version("prefsim"),
        "experiment": content,
        "seed": experiment.seed,
        "engine": engine,
        "engine_reason": reason,
        "precision": experiment.precision,
        "steps": steps,
        "command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]]) if sys.argv else "",
        "packages": {name: package_version(name) for name in PACKAGES},
        "python": platform.python_version(),
        "device": ", ".join([platform.machine(), f"{os.cpu_count()} cores", *gpu]),
        "sources": sources(experiment),
    })


def check_writable(path: str | os.PathLike[str]) -> Path:
    """Return `path` if a file can be written there; called before work starts, so that nothing is lost.

    Raises
    ------
    ValueError
        If the folder does not exist or cannot be written to, or the path is a folder.
    """
    target = Path(path)
    folder = target.parent
    if not folder.is_dir():
        raise ValueError(f"cannot write {target}: the folder {folder} does not exist; create it first.")
    if target.is_dir():
        raise ValueError(f"cannot write {target}: it is a folder; name a file inside it.")
    if not os.access(target if target.exists() else folder, os.W_OK):
        raise ValueError(f"cannot write {target}: permission denied; choose another place.")
    return target


def write_whole(path: str | os.PathLike[str], write: Any) -> None:
    """Call ``write(temporary)`` on a file beside `path`, then move it into place."""
    target = check_writable(path)
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.stem}-", suffix=target.suffix)
    os.close(handle)
    try:
        write(temporary)
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, target)
    finally:
        Path(temporary).unlink(missing_ok=True)


def save(data: xr.Dataset, path: str | os.PathLike[str]) -> None:
    """Write results to a netCDF file (HDF5), whole or not at all."""
    write_whole(path, lambda temporary: data.to_netcdf(temporary, engine="h5netcdf"))


def load(path: str | os.PathLike[str]) -> xr.Dataset:
    """Read results into memory.

    Raises
    ------
    ValueError
        If the file does not exist or does not hold results of this package.
    """
    import xarray as xr

    if not Path(path).is_file():
        raise ValueError(f"there is no file {os.fspath(path)}; prefsim run ... --out {os.fspath(path)} writes one.")
    try:
        data = xr.load_dataset(path, engine="h5netcdf")
    except (OSError, ValueError) as error:
        raise ValueError(f"{os.fspath(path)} is not a netCDF file: {error}.") from None
    if "provenance" not in data.attrs:
        raise ValueError(f"{os.fspath(path)} was not written by prefsim: it has no provenance.")
    return data
