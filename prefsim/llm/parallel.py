"""The processes of a run: all hold the same policy, and each samples, judges and back-propagates a share of the prompts.

``accelerate launch`` and ``torchrun`` start them. What one process does alone is not touched: then every function here hands
back what it was given.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

T = TypeVar("T")


def join(device: str) -> None:
    """Join the processes that a launcher started, if it started several; the device ``cuda`` then is this process's own.

    Raises
    ------
    ValueError
        If accelerate is missing, or was told to use DeepSpeed or its own settings of FSDP, which are not read here.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or count() > 1:
        return
    if find_spec("accelerate") is None:
        raise ValueError("several processes need accelerate; install the extra: pip install 'prefsim[llm]'.")
    for name, instead in (("DEEPSPEED", "launch without it"), ("FSDP", "launch without it and give shard = true")):
        if os.environ.get(f"ACCELERATE_USE_{name}", "false").lower() == "true":
            raise ValueError(f"accelerate's settings of {name} are not read by prefsim; {instead}.")
    from accelerate import PartialState

    PartialState(cpu=torch.device(device).type == "cpu")


def count() -> int:
    """Number of processes."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Number of this process."""
    return dist.get_rank() if count() > 1 else 0


def main() -> bool:
    """Whether this process writes files and speaks."""
    return rank() == 0


def share(items: Sequence[T]) -> Sequence[T]:
    """This process's items, consecutive ones; sizes differ by one at most."""
    first, last = (len(items) * place // count() for place in (rank(), rank() + 1))
    return items[first:last]


def gather(value: T) -> list[T]:
    """What every process gives, in order; every process must call."""
    if count() == 1:
        return [value]
    found: list[Any] = [None] * count()
    dist.all_gather_object(found, value)
    return found


def total(*values: float) -> list[Any]:
    """Sums over the processes, the same bits in every one."""
    return [sum(each[1:], each[0]) for each in zip(*gather(values), strict=True)]


def rows(values: Tensor) -> Tensor:
    """The rows of all shares, in the order of the whole."""
    return values if count() == 1 else torch.cat(gather(values.cpu()))


def agree(what: str, value: float) -> None:
    """Refuse to go on where the processes differ.

    Raises
    ------
    ValueError
        In every process.
    """
    found = gather(value)
    if not all(math.isclose(each, found[0], rel_tol=1e-9) for each in found):
        raise ValueError(f"{what} must be the same in every process; got {', '.join(f'{each:g}' for each in found)}.")


def check(parameters: Sequence[Tensor], size: float, asked: Mapping[str, int]) -> None:
    """Every process must hold the same policy and have something to do, and where they shard they must do the same.

    Raises
    ------
    ValueError
        If the sum of the parameters' sizes differs, or one of the numbers `asked` cannot be shared out.
    """
    agree("the sum of |parameters| of the policy", size)
    least = count() if any(map(sharded, parameters)) else 1
    for name, number in asked.items():
        if number < count():
            raise ValueError(f"{name} must be at least the number of processes, {count()}; got {number}.")
        if number % least:
            raise ValueError(f"{name} must be a multiple of the {count()} processes, which hold shards; got {number}.")


@torch.no_grad()
def add_up(parameters: Iterable[Tensor]) -> None:
    """Sum the gradients over the processes; a parameter without one anywhere stays without."""
    if count() == 1:
        return
    parameters = list(parameters)
    some = [any(each) for each in zip(*gather([p.grad is not None for p in parameters]), strict=True)]
    under_way = []
    for p in (p for p, used in zip(parameters, some, strict=True) if used):
        if p.grad is None:
            p.grad = torch.zeros_like(p)
        if sharded(p):
            p.grad.mul_(count())  # fully_shard has reduced it already, to the mean
        else:
            under_way.append(dist.all_reduce(p.grad, async_op=True))
    for each in under_way:
        each.wait()


def shard(model: Any) -> None:
    """Give each process a part of every parameter (``torch.distributed.fsdp.fully_shard``), layer by layer.

    Nothing stays gathered after a forward pass, because values are written into the parts in between.

    Raises
    ------
    ValueError
        If this torch has no ``fully_shard``.
    """
    if count() == 1:
        return
    from torch.distributed import fsdp
    from torch.distributed.device_mesh import init_device_mesh

    if not hasattr(fsdp, "fully_shard"):
        raise ValueError(f"shards need torch 2.6 or later; this is {torch.__version__}.")
    mesh = init_device_mesh(next(model.parameters()).device.type, (count(),))
    layers = getattr(model, "_no_split_modules", None) or ()
    for module in [m for m in model.modules() if type(m).__name__ in layers] + [model]:
        fsdp.fully_shard(module, mesh=mesh, reshard_after_forward=True)


def sharded(value: Any) -> bool:
    """Whether this process holds a part of a tensor."""
    return hasattr(value, "full_tensor")


def whole(value: Any) -> Any:
    """Tensors in nested lists and dictionaries put together from their parts; every process must call."""
    if sharded(value):
        return value.full_tensor().cpu()
    if isinstance(value, dict):
        return {name: whole(each) for name, each in value.items()}
    return [whole(each) for each in value] if isinstance(value, list) else value


def placed(value: Any, parameter: Tensor) -> Any:
    """A tensor in the parts of a parameter of its shape, where that has parts."""
    if not sharded(parameter) or sharded(value) or getattr(value, "shape", ()) != parameter.shape:
        return value
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(value.to(parameter.device), parameter.device_mesh, parameter.placements)  # type: ignore[attr-defined]
