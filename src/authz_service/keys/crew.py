"""A service as one process or several: which part each has, under which name, on which socket or port."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from authz_service.keys.data_dir import DataDir


class Duty(Enum):
    """What a process does: everything, or one of the two halves."""

    ALL = "all"
    ANSWER = "answer"
    """Answers Envoy: Check and Process."""
    KEEP = "keep"
    """Everything that is needed once: the review API, checkpoints, purges, sweeps, the search index."""


@dataclass(frozen=True, slots=True)
class Part:
    """One process of a service with `workers` of them. `worker` is which one, from 0; None keeps."""

    workers: int = 1
    worker: int | None = None

    def __post_init__(self) -> None:
        if self.workers < 1 or not 0 <= (self.worker or 0) < self.workers:
            raise ValueError(f"there is no worker {self.worker} among {self.workers}")

    @property
    def duty(self) -> Duty:
        """What this process does."""
        if self.workers == 1:
            return Duty.ALL
        return Duty.KEEP if self.worker is None else Duty.ANSWER

    @property
    def name(self) -> str:
        """How logs and metrics call it."""
        return "keeper" if self.duty is Duty.KEEP else f"worker {self.worker or 0}"

    def socket(self, data: DataDir) -> Path:
        """Where Envoy reaches this worker."""
        return service_sockets(data, self.workers)[self.worker or 0]

    def port(self, first: int) -> int:
        """The TCP port on which Envoy reaches this worker; they follow one another."""
        return first + (self.worker or 0)

    def instance(self, base: str) -> str:
        """By which name the record knows this process; `base` is the data directory's."""
        match self.duty:
            case Duty.ALL:
                return base
            case Duty.KEEP:
                return f"{base}-keeper"
            case Duty.ANSWER:
                return f"{base}-{self.worker}"

    def instances(self, base: str) -> tuple[str, ...]:
        """The names of all processes that may have exchanges, beside this one."""
        return tuple(
            Part(self.workers, worker).instance(base) for worker in range(self.workers) if self.workers > 1
        ) or (base,)

    @property
    def inherits(self) -> bool:
        """Whether it takes over what processes left that the service has no more."""
        return self.duty is Duty.ALL or self.worker == 0


def service_sockets(data: DataDir, workers: int) -> tuple[Path, ...]:
    """Where Envoy reaches the service's workers, each a Unix socket."""
    if workers == 1:
        return (data.service_socket,)
    return tuple(data.sockets / f"service-{worker}.sock" for worker in range(workers))
