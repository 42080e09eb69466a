"""Where the tasks of one job meet: SLURM's variables in the words of `torch.distributed`.

With these in the environment, ``torch.distributed.init_process_group(init_method="env://")`` needs
nothing more. Several jobs may share a node, so the port follows from the job's number.
"""

import os

from orchestrator.slurm.commands import ask

_FIRST_PORT, _PORTS = 20000, 10000  # below the ports that Linux gives away by itself (32768 on)


def rendezvous() -> dict[str, str]:
    """Return MASTER_ADDR, MASTER_PORT, RANK, WORLD_SIZE and LOCAL_RANK of this task; nothing in a
    job of one task.

    Raises:
        SchedulerError: scontrol cannot name the nodes of the job.
    """
    world = int(os.environ.get("SLURM_NTASKS", "1"))
    if world == 1:
        return {}
    first = ask("scontrol", "show", "hostnames", os.environ["SLURM_JOB_NODELIST"]).split()[0]
    return {
        "MASTER_ADDR": first,
        "MASTER_PORT": str(_FIRST_PORT + int(os.environ["SLURM_JOB_ID"]) % _PORTS),
        "RANK": os.environ["SLURM_PROCID"],
        "WORLD_SIZE": str(world),
        "LOCAL_RANK": os.environ["SLURM_LOCALID"],
    }
