"""Several processes as one: each does its part of every batch, and all end up with the same numbers.

Weights, optimizer and control flow are the same everywhere; only work is divided. So one process is the
special case in which nothing is exchanged. Left out: weights that no process holds whole (FSDP, ZeRO).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Processes:
    """This process, number `rank` of `size` whose default group of torch.distributed has been set up."""

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the one that writes and talks."""
        return self.rank == 0

    def over(self, items: Sequence[Item], work: Callable[[Sequence[Item]], Iterable[Result]]) -> list[Result]:
        """What `work` gives for all items, in their order, to every process; each works on its part.

        `work` is not called without items. What it returns is exchanged as a pickle between these processes.
        """
        start, end = (len(items) * rank // self.size for rank in (self.rank, self.rank + 1))
        done = list(work(items[start:end])) if start < end else []
        return [result for part in self._gather(done) for result in part]

    def each(self, items: Sequence[Item], work: Callable[[Item], Result]) -> list[Result]:
        """The same for work on one item at a time."""
        return self.over(items, lambda part: map(work, part))

    def once(self, work: Callable[[], Result]) -> Result:
        """What `work` gives in the first process, to every process. Raises what it raises there."""
        if self.size == 1:
            return work()
        given: list[Any] = [None, None]
        if self.first:
            try:
                given[0] = work()
            except Exception as error:  # the others wait for an answer
                given[1] = error
        torch.distributed.broadcast_object_list(given, src=0)
        if given[1] is not None:
            raise given[1]
        result: Result = given[0]
        return result

    def sum_gradients(self, parameters: Sequence[torch.Tensor]) -> None:
        """Give every process the sum of all processes' gradients; one that has none adds zeros."""
        if self.size == 1:
            return
        gradients = [p.grad if p.grad is not None else torch.zeros_like(p) for p in parameters]
        flat = torch.cat([gradient.reshape(-1).float() for gradient in gradients])
        torch.distributed.all_reduce(flat)
        start = 0
        for parameter, gradient in zip(parameters, gradients, strict=True):
            end = start + gradient.numel()
            parameter.grad = flat[start:end].view_as(gradient).to(gradient.dtype)
            start = end

    def _gather(self, mine: list[Result]) -> list[list[Result]]:
        if self.size == 1:
            return [mine]
        parts: list[list[Result]] = [[] for _ in range(self.size)]
        torch.distributed.all_gather_object(parts, mine)
        return parts


ALONE = Processes()
