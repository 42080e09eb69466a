"""Loggers of metrics side by side: each opens a fresh store in a folder and gives a function that
logs one step.

Ours is the worker's observer on an event log. The others come with the extra: pip install
'byol-sweeps[bench]'.
"""

import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from byol_core.files import RecordLog
from orchestrator.executors.worker import AttemptContext, _Attempt, _claim
from orchestrator.store.root import Root

Log = Callable[[int, Mapping[str, float]], None]


@contextmanager
def ours(folder: Path) -> Iterator[Log]:
    """The worker's observer: one checksummed line a step, synced every few seconds."""
    run = Root(folder).run("0" * 64)
    job = AttemptContext("inline")
    attempt = _claim(run, job)
    with RecordLog(attempt.events) as log:
        observer = _Attempt(run, attempt, job, log, lambda: None)
        yield lambda step, metrics: observer.measured(step, 0, dict(metrics), 1234.5)


@contextmanager
def tensorboardx(folder: Path) -> Iterator[Log]:
    """TensorBoardX: an event file, a call a scalar."""
    from tensorboardX import SummaryWriter

    with SummaryWriter(str(folder)) as writer:

        def log(step: int, metrics: Mapping[str, float]) -> None:
            for name, value in metrics.items():
                writer.add_scalar(name, value, step)

        yield log


@contextmanager
def wandb_offline(folder: Path) -> Iterator[Log]:
    """W&B offline: a call a step, written by a process of its own."""
    import wandb

    settings = wandb.Settings(silent=True, console="off")
    with wandb.init(project="bench", mode="offline", dir=str(folder), settings=settings) as run:
        yield lambda step, metrics: run.log(dict(metrics), step=step)


@contextmanager
def mlflow_sqlite(folder: Path) -> Iterator[Log]:
    """MLflow on SQLite: a batch a step."""
    with _mlflow(f"sqlite:///{folder}/mlflow.db") as log:
        yield log


@contextmanager
def mlflow_files(folder: Path) -> Iterator[Log]:
    """MLflow on files: a batch a step."""
    os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"  # it is being given up
    with _mlflow(folder.as_uri()) as log:
        yield log


@contextmanager
def _mlflow(store: str) -> Iterator[Log]:
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    logging.getLogger("alembic").setLevel(logging.ERROR)
    from mlflow.entities import Metric
    from mlflow.tracking import MlflowClient

    client = MlflowClient(store)
    run = client.create_run(client.create_experiment("bench")).info.run_id

    def log(step: int, metrics: Mapping[str, float]) -> None:
        now_ms = int(time.time() * 1000)
        client.log_batch(
            run, [Metric(name, value, now_ms, step) for name, value in metrics.items()]
        )

    yield log
    client.set_terminated(run)


@contextmanager
def aim(folder: Path) -> Iterator[Log]:
    """Aim: a call a step, into RocksDB."""
    from aim import Run

    run = Run(repo=str(folder), system_tracking_interval=None, log_system_params=False)
    yield lambda step, metrics: run.track(dict(metrics), step=step)
    run.close()


@contextmanager
def optuna_sqlite(folder: Path) -> Iterator[Log]:
    """Optuna on SQLite: an intermediate value a metric."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    trial = optuna.create_study(storage=f"sqlite:///{folder}/optuna.db").ask()

    def log(step: int, metrics: Mapping[str, float]) -> None:
        for i, value in enumerate(metrics.values()):
            trial.report(value, step * len(metrics) + i)

    yield log


RIVALS: Mapping[str, tuple[Callable[[Path], AbstractContextManager[Log]], str, int]] = {
    "byol-sweeps": (ours, "byol_core", 1),
    "TensorBoardX": (tensorboardx, "tensorboardX", 1),
    "W&B offline": (wandb_offline, "wandb", 1),
    "MLflow, SQLite": (mlflow_sqlite, "mlflow", 20),
    "MLflow, files": (mlflow_files, "mlflow", 5),
    "Aim": (aim, "aim", 20),
    "Optuna, SQLite": (optuna_sqlite, "optuna", 200),
}
"""Name → how to open it, the module it needs, and by how much fewer steps it gets, since it is
slower.
"""
