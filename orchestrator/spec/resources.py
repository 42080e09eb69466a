"""Declares what jobs may ask of SLURM: `resources:` of a spec, and a cluster in clusters.yaml.

Layers lie over each other: a cluster's defaults, the spec's resources, those of one variant. A key
counts where it is set.
"""

import re
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from orchestrator.spec.parts import Line, Part, check_line

# sbatch options that may not stand under `sbatch:`, by what sets them.
_SET_BY = {
    "gpus and gpu_type": "gpus gpus-per-node gpus-per-task gres",
    "cpus": "cpus-per-task cpus-per-gpu",
    "mem_gb": "mem mem-per-cpu mem-per-gpu",
    "tasks": "ntasks ntasks-per-node",
    "timeout_min": "time",
    "the key of that name": "partition account qos constraint exclude nodelist reservation nodes",
    "--slots and runs_per_job": "array",
    "the launcher, which relies on it": (
        "begin chdir clusters dependency error export export-file hold input job-name no-requeue "
        "open-mode output parsable quiet requeue signal test-only wait wrap"
    ),
}
RESERVED = {option: setter for setter, options in _SET_BY.items() for option in options.split()}
_OPTION = re.compile(r"[a-z][a-z0-9-]{0,63}")
_FOLDER = re.compile(r"[A-Za-z0-9_./${}-]{1,1000}")


def _check_option(name: str) -> str:
    if not _OPTION.fullmatch(name):
        raise ValueError(
            f"{name!r} is no sbatch option; write its long name without dashes, e.g. mail-type"
        )
    if name in RESERVED:
        raise ValueError(f"{name!r} is not to be set here: it is set by {RESERVED[name]}")
    return name


def _check_value(value: Any) -> str | int | bool:
    if isinstance(value, str):
        return check_line(value)
    if isinstance(value, int) and value is not False:
        return value
    raise ValueError(
        f"{value!r} is no value of an sbatch option; write text, a number, "
        "or true for an option without a value"
    )


def _check_folder(text: str) -> str:
    if not _FOLDER.fullmatch(text):
        raise ValueError(
            f"{text!r} is no folder; use letters, digits and _ . / - and variables such as $TMPDIR"
        )
    return text


Option = Annotated[str, AfterValidator(_check_option)]
OptionValue = Annotated[Any, AfterValidator(_check_value)]
Folder = Annotated[str, AfterValidator(_check_folder)]


class Resources(Part):
    """What one job asks of SLURM, and how it is started there.

    Attributes:
        gpus: per node.
        gpu_type: as the cluster calls it, e.g. `a100`.
        cpus: per task.
        mem_gb: per node.
        timeout_min: of the job.
        nodes: more than one for a distributed run.
        tasks: per node; more than one for a distributed run.
        runs_per_job: how many runs one job makes, and how many of them at once (`side_by_side`);
            they share what it has.
        sbatch: further options of sbatch, long names without dashes; `true` for an option without a
            value.
        setup: shell lines before the run, e.g. `module load cuda`.
        srun: further arguments of srun, e.g. `--container-image=…`.
        python: the shell command that is Python in the job, e.g. `apptainer exec --nv image.sif
            python`.
        data: $SWEEP_DATA in the job.
        data_copy: folder on the node that the images are copied to first, e.g. `$TMPDIR`.
    """

    gpus: int = Field(1, ge=0)
    gpu_type: Line | None = None
    cpus: int = Field(4, ge=1)
    mem_gb: int = Field(16, ge=1)
    timeout_min: int = Field(240, ge=1)
    nodes: int = Field(1, ge=1)
    tasks: int = Field(1, ge=1)
    runs_per_job: int = Field(1, ge=1, le=1000)
    side_by_side: int = Field(1, ge=1, le=64)
    partition: Line | None = None
    account: Line | None = None
    qos: Line | None = None
    constraint: Line | None = None
    exclude: Line | None = None
    nodelist: Line | None = None
    reservation: Line | None = None
    sbatch: dict[Option, OptionValue] = {}
    setup: list[Line] = []
    srun: list[Line] = []
    python: Line | None = None
    data: Line | None = None
    data_copy: Folder | None = None

    def contradiction(self) -> str | None:
        """Tell what does not go together; None where all does."""
        if self.side_by_side > self.runs_per_job:
            return (
                f"side_by_side: {self.side_by_side} are more than runs_per_job: {self.runs_per_job}"
            )
        if self.runs_per_job > 1 and self.nodes * self.tasks > 1:
            return f"runs_per_job: {self.runs_per_job} go with nodes: 1 and tasks: 1 only"
        if self.gpu_type is not None and self.gpus == 0:
            return (
                f"gpu_type: {self.gpu_type} without gpus; set gpus above 0, or leave gpu_type out"
            )
        return None


class VariedResources(Resources):
    """The `resources:` of a spec: what all jobs ask for, and what some variants ask for instead.

    Attributes:
        per_variant: name of a row under `variants:`, or whole name of a variant as the plan prints
            it → its own values.
    """

    per_variant: dict[str, Resources] = {}


def overlay(*layers: Resources) -> Resources:
    """Lay resources over each other: the keys that a later layer sets count.

    `sbatch` is laid over option by option.
    """
    merged: dict[str, object] = {}
    sbatch: dict[str, object] = {}
    for layer in layers:
        set_here = layer.model_fields_set & set(Resources.model_fields)
        merged.update(layer.model_dump(include=set_here))
        sbatch.update(layer.sbatch)
    if sbatch:
        merged["sbatch"] = sbatch
    return Resources.model_validate(merged)
